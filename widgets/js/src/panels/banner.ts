// What the page says when the program behind it is away, and what it offers to go on with.

import { button, h } from "../dom";
import type { Hub } from "../hub";
import { say } from "../i18n";
import { type Model, Scope } from "../model";
import { clock } from "../notes";

/** A kept session, as Python lists it. */
export interface Recent {
  id: string;
  name: string;
  duration: number;
  saved: number;
  changes: number;
  notes: number;
}

/** "5 minutes ago", in the language of the page. */
function ago(language: string, saved: number): string {
  const seconds = saved - Date.now() / 1000;
  const units: [Intl.RelativeTimeFormatUnit, number][] = [["day", 86_400], ["hour", 3600], ["minute", 60]];
  const [unit, length] = units.find(([, size]) => -seconds >= size) ?? ["second", 1];
  const format = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
  return unit === "second" ? format.format(0, "second") : format.format(Math.round(seconds / length), unit);
}

function corrections(hub: Hub, { changes }: Recent): string {
  return changes ? say(hub, changes === 1 ? "one_correction" : "n_corrections", { n: changes }) : "";
}

export function recentButton(hub: Hub, entry: Recent, first: boolean, goOn: (id: string) => void): HTMLButtonElement {
  const facts = [corrections(hub, entry), clock(entry.duration, 0), ago(hub.prefs.language, entry.saved)].filter(Boolean);
  return h(
    "button",
    { type: "button", class: `amt-recent${first ? " amt-first" : ""}`, "data-recent": entry.id, onclick: () => goOn(entry.id) },
    h("b", { title: entry.name }, entry.name.replaceAll("_", " ")),
    h("span", {}, facts.join(" · ")),
  ) as HTMLButtonElement;
}

export function mountBanner(model: Model, element: HTMLElement, hub: Hub, goOn: (id: string) => void): () => void {
  const scope = new Scope(model);
  const t = (key: string, values?: Record<string, unknown>) => say(hub, key, values);
  const banner = h("div", { class: "amt-banner", role: "alert", hidden: true });
  element.append(banner);
  let dismissed = "";
  const show = (kind: string, text: string, ...actions: HTMLElement[]) => {
    banner.className = `amt-banner amt-${kind}`;
    banner.replaceChildren(h("p", {}, text), ...actions);
    banner.hidden = false;
  };
  const saveButton = () => button({ icon: "save", text: t("save_midi"), class: "amt-rescue", onclick: () => hub.actions.save?.("midi") });
  const update = () => {
    const { keeper } = hub;
    const state = keeper?.state ?? "ok";
    element.closest(".amtsep-app")?.classList.toggle("amt-offline", Boolean(keeper?.offline));
    const open = Boolean(model.get("about")?.name);
    const work = open ? [saveButton()] : [];
    const offer = model.get("offer") as (Recent & { why?: string }) | undefined;
    if (state === "gone") {
      const text = [t("program_gone"), open ? t("program_gone_kept") : "", keeper?.page ? "" : t("program_gone_lab")].filter(Boolean).join(" ");
      const again = button({ text: t("start_again"), class: "amt-primary amt-again", onclick: () => keeper?.startAgain() });
      show("gone", text, ...work, ...(keeper?.page ? [again] : []));
    } else if (state === "lost") show("lost", [t("program_lost"), open ? t("program_lost_kept") : ""].filter(Boolean).join(" "), ...work);
    else if (state === "silent") show("lost", t("program_silent"));
    else if (offer?.id && offer.id !== dismissed) {
      const values = { name: offer.name.replaceAll("_", " "), corrections: corrections(hub, offer), ago: ago(hub.prefs.language, offer.saved) };
      const close = button({ icon: "close", label: t("dismiss"), class: "amt-plain", onclick: () => {
        dismissed = offer.id;
        update();
      } });
      show("offer", t(offer.why === "same" ? "offer_same" : "offer_left", values), button({ text: t(offer.why === "same" ? "go_on_with_them" : "go_back"), class: "amt-primary amt-go-on", onclick: () => goOn(offer.id) }), close);
    } else {
      banner.hidden = true;
      banner.replaceChildren();
    }
  };
  scope.add(hub.on("link", update));
  scope.watch("offer", update);
  scope.watch("about", update);
  requestAnimationFrame(update);
  return () => scope.end();
}
