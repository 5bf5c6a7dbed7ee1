// The size of the app decides its layout, not that of the window: in JupyterLab the app is a cell.

import type { Hub } from "./hub";

/** Narrower than so many pixels: the roll on top, panels as sheets. */
const SMALL = 760;
/** Narrower: fewer words, the transport in two rows. */
const MEDIUM = 1180;
const LARGE = 1700;

export const sizeOf = (width: number): string => (width < SMALL ? "small" : width < MEDIUM ? "medium" : width < LARGE ? "usual" : "large");

/** Keep `data-size` of the app with its width; once for each app. */
export function followSize(app: HTMLElement, hub: Hub): void {
  if (app.dataset.size) return;
  const set = (width: number) => {
    const size = sizeOf(width);
    if (!width || app.dataset.size === size) return;
    app.dataset.size = size;
    hub.size = size;
    hub.emit("size");
  };
  set(app.getBoundingClientRect().width || 1280);
  new ResizeObserver(([entry]) => set(entry.contentRect.width)).observe(app);
}
