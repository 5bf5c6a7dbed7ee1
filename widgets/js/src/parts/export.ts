import { button } from "../dom";
import { save } from "../dom";
import type { Hub } from "../hub";
import { say } from "../i18n";
import { type Model, Scope, octets } from "../model";

export function mountExport(model: Model, element: HTMLElement, hub: Hub): () => void {
  const scope = new Scope(model);
  const t = (key: string, values?: Record<string, unknown>) => say(hub, key, values);
  const ask = (format: string) => model.send({ do: "export", format });
  element.append(
    button({ icon: "save", text: t("export_midi"), class: "amt-primary", "data-format": "midi", onclick: () => ask("midi") }),
    ...["csv", "json"].map((f) => button({ text: f.toUpperCase(), "data-format": f, class: "amt-small", onclick: () => ask(f) })),
  );
  scope.message((content, buffers) => {
    if (content.do === "file") save(octets(buffers[0]).slice(), content.name, content.type);
  });
  return () => scope.end();
}
