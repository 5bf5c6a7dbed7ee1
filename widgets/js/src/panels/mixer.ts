// Mute, solo, hide and volume of a row: of the note tracks' and of the drums' alike.

import { button, h, icon } from "../dom";
import type { Hub, Mix } from "../hub";
import { say } from "../i18n";

const SWITCHES = ["mute", "solo", "hidden"] as const;

export interface Mixer {
  buttons: HTMLElement[];
  volume: HTMLInputElement;
  /** As it is now, and whether it is heard at all. */
  show(mix: Mix): void;
}

/** `hear` changes what sounds at once, `keep` tells it to who keeps it; a volume is kept when it is let go. */
export function mixer(hub: Hub, name: string, now: () => Mix | undefined, hear: (values: Partial<Mix>) => void, keep: (values: Partial<Mix>) => void): Mixer {
  const labels = { mute: "mute", solo: "solo", hidden: "hide" };
  const faces = { mute: "M", solo: "S", hidden: icon("eye", 15) };
  const buttons = SWITCHES.map((what) => {
    const onclick = () => {
      const values = { [what]: !now()?.[what] };
      hear(values);
      keep(values);
    };
    return button({ class: `amt-toggle amt-${what}`, label: say(hub, labels[what], { name }), onclick }, faces[what]);
  });
  const values = () => ({ volume: Number(volume.value) });
  const volume = h("input", {
    type: "range",
    min: "0",
    max: "1",
    step: "0.02",
    class: "amt-range amt-track-volume",
    "aria-label": say(hub, "track_volume", { name }),
    oninput: () => hear(values()),
    onchange: () => keep(values()),
  });
  const show = (mix: Mix) => {
    SWITCHES.forEach((what, i) => buttons[i].setAttribute("aria-pressed", String(mix[what])));
    volume.value = String(mix.volume);
  };
  return { buttons, volume, show };
}
