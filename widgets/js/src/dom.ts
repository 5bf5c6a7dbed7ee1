// Making elements, and the icons (drawn for this project, so that no font has to be fetched).

type Child = Node | string | null | undefined | false;
type Props = Record<string, any>;

export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: (Child | Child[])[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "class") element.className = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "style") element.style.cssText = value;
    else if (key in element && typeof value !== "string") (element as any)[key] = value;
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  for (const child of children.flat()) if (child) element.append(child);
  return element;
}

/** Put these in place of what an element holds, leaving out nulls. */
export function fill(element: Element, ...children: Child[]): void {
  element.replaceChildren(...children.filter((c): c is Node | string => Boolean(c)));
}

const PATHS: Record<string, string> = {
  play: "M7 4.5v15l12-7.5z",
  pause: "M7 5h3.5v14H7zM13.5 5H17v14h-3.5z",
  back: "M6 5h2.2v14H6zM19 5v14l-9.5-7z",
  loop: "M17 3l4 4-4 4V8H8a3 3 0 0 0-3 3v1H3v-1a5 5 0 0 1 5-5h9zM7 21l-4-4 4-4v3h9a3 3 0 0 0 3-3v-1h2v1a5 5 0 0 1-5 5H7z",
  sun: "M12 7.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9zM11 2h2v3h-2zM11 19h2v3h-2zM2 11h3v2H2zM19 11h3v2h-3zM4.2 5.6l1.4-1.4 2.1 2.1-1.4 1.4zM16.3 17.7l1.4-1.4 2.1 2.1-1.4 1.4zM4.2 18.4l2.1-2.1 1.4 1.4-2.1 2.1zM16.3 6.3l2.1-2.1 1.4 1.4-2.1 2.1z",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.500 10.500z",
  save: "M11 3h2v9.200l3.300-3.300 1.400 1.400L12 16l-5.700-5.700 1.400-1.400L11 12.200zM4 17h2v2h12v-2h2v4H4z",
  open: "M11 16h2V6.800l3.300 3.300 1.400-1.400L12 3 6.300 8.700l1.400 1.400L11 6.800zM4 17h2v2h12v-2h2v4H4z",
  close: "M6.400 5L12 10.600 17.600 5 19 6.400 13.400 12l5.600 5.600-1.400 1.400-5.600-5.600L6.400 19 5 17.600 10.600 12 5 6.400z",
  undo: "M8 4v4h6a6 6 0 0 1 0 12H8v-2h6a4 4 0 0 0 0-8H8v4L3 9z",
  redo: "M16 4v4h-6a6 6 0 0 0 0 12h6v-2h-6a4 4 0 0 1 0-8h6v4l5-5z",
  mic: "M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3zM6 10.500h2V11a4 4 0 0 0 8 0v-.5h2V11a6 6 0 0 1-5 5.900V19h3v2H8v-2h3v-2.100A6 6 0 0 1 6 11z",
  note: "M9 4l10-2v13.500a3.500 3 0 1 1-2-2.700V6.400L11 7.600v10.900a3.500 3 0 1 1-2-2.700z",
  help: "M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18zm0 2a7 7 0 1 0 0 14 7 7 0 0 0 0-14zm-1 10.500h2v2h-2zM12 6.500a3.500 3.500 0 0 1 1 6.850V14.500h-2V12h1a1.500 1.500 0 1 0-1.500-1.500h-2A3.500 3.500 0 0 1 12 6.500z",
  eye: "M12 5c5 0 8.500 4 10 7-1.500 3-5 7-10 7s-8.500-4-10-7c1.500-3 5-7 10-7zm0 2c-3.600 0-6.300 2.600-7.700 5 1.400 2.400 4.100 5 7.700 5s6.300-2.600 7.700-5c-1.400-2.400-4.100-5-7.700-5zm0 2a3 3 0 1 1 0 6 3 3 0 0 1 0-6z",
  more: "M5 10a2 2 0 1 1 0 4 2 2 0 0 1 0-4zm7 0a2 2 0 1 1 0 4 2 2 0 0 1 0-4zm7 0a2 2 0 1 1 0 4 2 2 0 0 1 0-4z",
  stop: "M6 6h12v12H6z",
  speaker: "M4 9h4l5-5v16l-5-5H4zM15 8.500a4.500 4.500 0 0 1 0 7v-2.300a2.500 2.500 0 0 0 0-2.400zM15 4.500a8 8 0 0 1 0 15v-2.100a6 6 0 0 0 0-10.800z",
  metronome: "M9 3h6l4 18H5zm1.600 2L7.500 19h9L13.400 5zM11.500 15.500L18 5.500l1.600 1-6.500 10z",
  bend: "M2 13c2.500-8 5-8 7 0s4.500 8 6.500 0S20 5 22 9l-1.800 1c-.8-1.800-1.700-1.200-2.800 3.500-2.300 9-7.600 9-10.300 0C5.800 8.800 5.400 8.800 3.900 13.500z",
  fit: "M3 3h7v2H5v5H3zM14 3h7v7h-2V5h-5zM3 14h2v5h5v2H3zM19 14h2v7h-7v-2h5z",
  down: "M6 9l6 6 6-6-1.400-1.400L12 12.200 7.400 7.600z",
  screen: "M3 4h18v12h-8v2h3v2H8v-2h3v-2H3zm2 2v8h14V6z",
  follow: "M4 3h2v18H4zM9 6h8.500l-3-3L16 1.600 21.400 7 16 12.400 14.500 11l3-3H9zM9 16h8v2H9z",
  wand: "M4 18.600L14.600 8 16 9.400 5.400 20zM17 2l.9 2.600L20.500 5.500l-2.600.9L17 9l-.9-2.600-2.600-.9 2.600-.9zM8 3l.6 1.900L10.500 5.500l-1.900.6L8 8l-.6-1.900L5.500 5.500l1.900-.6z",
};

export function icon(name: string, size = 18): SVGSVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("width", String(size));
  svg.setAttribute("height", String(size));
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name] ?? "");
  path.setAttribute("fill", "currentColor");
  svg.append(path);
  return svg;
}

export function button(
  props: Props & { icon?: string; label?: string; text?: string; keys?: string },
  ...children: Child[]
): HTMLButtonElement {
  const { icon: name, label, text, keys, ...rest } = props;
  const title = label ? (keys ? `${label}  (${keys})` : label) : undefined;
  return h(
    "button",
    { type: "button", ...rest, class: `amt-button ${rest.class ?? ""}`, title, "aria-label": label },
    name ? (icon(name) as unknown as Node) : null,
    text ? h("span", {}, text) : null,
    ...children,
  );
}

/** What a fold opens is scrolled into view, the fold's own line staying in it. */
export function opensIntoView(fold: HTMLDetailsElement): void {
  fold.addEventListener("toggle", () => {
    if (!fold.open) return;
    fold.lastElementChild?.scrollIntoView({ block: "nearest" });
    fold.firstElementChild?.scrollIntoView({ block: "nearest" });
  });
}

/** Have the browser save bytes under a name. */
export function save(bytes: BlobPart, name: string, type: string): void {
  const url = URL.createObjectURL(new Blob([bytes], { type }));
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
