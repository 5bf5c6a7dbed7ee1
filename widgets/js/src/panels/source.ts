// The bar at the top: what is open, how far the work is, what went wrong; and the page to begin with.

import { button, fill, h, icon } from "../dom";
import type { Hub } from "../hub";
import { nextLanguage, say, sentence } from "../i18n";
import { type Model, Scope } from "../model";
import { clock } from "../notes";
import { meantFor } from "../keys";
import { Keeper } from "../link";
import { type Recent, mountBanner, recentButton } from "./banner";
import { tour } from "../info";
import { openHelp } from "./help";
import { Uploads } from "./upload";

export function mountSource(model: Model, element: HTMLElement, hub: Hub): () => void {
  const scope = new Scope(model);
  const t = (key: string, values?: Record<string, unknown>) => say(hub, key, values);
  // Uploads and a recording under way outlive a change of language or theme, which builds this part again.
  const keeper: Keeper = (hub.keeper ??= new Keeper(model, hub));
  const uploads: Uploads = (hub.uploads ??= new Uploads(model));

  const picker = h("input", { type: "file", accept: "audio/*,video/mp4,video/webm,.flac,.opus,.ogg,.m4a,.mid,.midi,.amtsep", hidden: true, class: "amt-file" });
  const title = h("div", { class: "amt-title" });
  const work = h("div", { class: "amt-work" });
  const line = h("div", { class: "amt-status", role: "status", "aria-live": "polite" });
  const details = h("pre", { class: "amt-details", hidden: true });
  const menu = h("div", { class: "amt-menu", hidden: true, id: `amt-menu-${hub.id.slice(0, 8)}` });
  const openButton = button({ icon: "open", label: t("open_file"), text: t("open_file"), class: "amt-open", onclick: () => picker.click() });
  const demoButton = button({ icon: "note", label: t("demos"), text: t("demos"), class: "amt-demos", "aria-expanded": "false", "aria-controls": menu.id, onclick: () => toggleMenu() }, icon("down", 14));
  const right = h("div", { class: "amt-right" });
  const bar = h(
    "div",
    { class: "amt-bar-top" },
    h("div", { class: "amt-brand", title: t("tagline") }, mark(), h("h1", {}, "amtsep")),
    h("div", { class: "amt-openers" }, openButton, h("div", { class: "amt-anchor" }, demoButton, menu)),
    h("div", { class: "amt-middle" }, title, work, line),
    right,
    picker,
    details,
  );
  element.append(bar);
  const undo = button({ icon: "undo", label: t("undo"), keys: "Ctrl Z", class: "amt-undo", onclick: () => hub.actions.undo?.() });
  const redo = button({ icon: "redo", label: t("redo"), keys: "Ctrl Y", class: "amt-redo", onclick: () => hub.actions.redo?.() });
  const history = () => {
    undo.disabled = keeper.offline ? !keeper.canUndo : !hub.history.undo;
    redo.disabled = keeper.offline || !hub.history.redo;
  };
  scope.add(hub.on("link", history));
  scope.add(hub.on("history", history));
  history();
  const saveButton = button({ icon: "save", text: t("save_midi"), label: t("save_midi"), keys: "Ctrl S", class: "amt-primary amt-save", onclick: () => hub.actions.save?.("midi") });
  const theme = button({ label: t("theme"), class: "amt-theme", onclick: () => hub.prefer({ theme: hub.prefs.theme === "dark" ? "light" : "dark" }) });
  hub.actions.help = () => openHelp(hub, element);
  const projector = button({ icon: "screen", label: t("projector"), class: "amt-projector", onclick: () => hub.prefer({ projector: hub.prefs.projector === "on" ? "off" : "on" }) });
  const next = nextLanguage(hub.prefs.language);
  right.append(
    undo,
    redo,
    saveButton,
    projector,
    button({ icon: "help", label: t("help"), keys: "?", class: "amt-help", onclick: () => hub.actions.help() }),
    button({ text: next.name, label: t("language_label", next), lang: next.code, class: "amt-language", onclick: () => hub.prefer({ language: next.code }) }),
    theme,
  );
  const showTheme = () => {
    theme.replaceChildren(icon(hub.prefs.theme === "dark" ? "sun" : "moon"));
    projector.setAttribute("aria-pressed", String(hub.prefs.projector === "on"));
  };
  scope.add(hub.on("prefs", showTheme));
  showTheme();

  // --- the page to begin with ---------------------------------------------------------------------------------------

  const limits = () => {
    const { megabytes = 200, minutes = 60 } = model.get("limits") ?? {};
    const length = minutes < 120 ? t("n_minutes", { n: Math.round(minutes) }) : t("n_hours", { n: Math.floor(minutes / 60) });
    return { megabytes: Math.round(megabytes), length };
  };
  const welcome = h("div", { class: "amt-welcome" });
  let filled = "";
  /** Do something that takes the page to begin with off the page for a moment; the focus stays where it was. */
  const keepFocus = (act: () => void) => {
    const before = document.activeElement as HTMLElement | null;
    const name = before && welcome.contains(before) ? before.className : "";
    act();
    if (name) [...welcome.querySelectorAll("button")].find((b) => b.className === name)?.focus();
  };
  const fillWelcome = () => {
    const list = (model.get("demos") ?? []) as { id: string; name: string }[];
    const recents = (model.get("recent") ?? []) as Recent[];
    // The list of kept sessions comes a little later: whoever has moved on by keyboard stays where they are.
    const content = JSON.stringify([list, recents, limits(), hub.prefs.language]);
    if (content === filled) return;
    filled = content;
    keepFocus(() => fill(
      welcome,
      h(
        "div",
        { class: "amt-card" },
        mark(44),
        h("h2", {}, t("drop")),
        h("p", {}, t("formats", limits())),
        button({ icon: "open", text: t("choose"), class: "amt-primary amt-choose", onclick: () => picker.click() }),
        recents.length ? h("p", { class: "amt-or" }, t("go_on_with")) : null,
        recents.length ? h("div", { class: "amt-recents" }, ...recents.map((entry, i) => recentButton(hub, entry, !i, goOn))) : null,
        button({ text: t("tour"), class: "amt-link amt-take-tour", onclick: () => tour(hub, element) }),
        list.length ? h("p", { class: "amt-or" }, t("try_demo")) : null,
        h("div", { class: "amt-chips" }, ...list.map((d) => button({ icon: "play", text: clipTitle(hub, d.id, d.name), class: "amt-demo", "data-demo": d.id, onclick: () => demo(d.id) }))),
      ),
    ));
  };
  const place = () => {
    const opened = Boolean(model.get("about")?.name);
    const slot: HTMLElement | undefined = hub.actions.slot?.();
    if (opened) welcome.remove();
    else if (welcome.parentElement !== (slot ?? element)) keepFocus(() => (slot ?? element).append(welcome));
    (slot ?? element).classList.toggle("amt-empty", !opened);
  };
  scope.add(hub.on("slot", place));
  scope.add(() => welcome.remove());

  const toggleMenu = (open = menu.hidden) => {
    menu.hidden = !open;
    demoButton.setAttribute("aria-expanded", String(open));
    if (open && model.get("recent")) model.send({ do: "list" });
    if (open) menu.querySelector("button")?.focus();
  };
  scope.listen(document, "pointerdown", (e: PointerEvent) => {
    if (!menu.hidden && !menu.parentElement?.contains(e.target as Node)) toggleMenu(false);
  });
  scope.listen(menu, "keydown", (e: KeyboardEvent) => {
    const items: HTMLElement[] = [...menu.querySelectorAll("button")];
    const at = items.indexOf(document.activeElement as HTMLElement);
    if (e.key === "ArrowDown") items[(at + 1) % items.length]?.focus();
    else if (e.key === "ArrowUp") items[(at + items.length - 1) % items.length]?.focus();
    else if (e.key === "Escape") {
      toggleMenu(false);
      demoButton.focus();
    } else return;
    e.preventDefault();
    e.stopPropagation();
  });
  const goOn = (id: string) => {
    toggleMenu(false);
    model.send({ do: "go_on", id });
  };
  const demo = (id: string) => {
    toggleMenu(false);
    model.send({ do: "demo", id });
  };

  // --- status -------------------------------------------------------------------------------------------------------

  let local: { kind: string; text: string } | null = null;
  const showLine = () => {
    const status = local ?? model.get("status") ?? {};
    const text = sentence(hub, status);
    const busy = Boolean(uploads.job || model.get("progress"));
    line.className = `amt-status amt-${status.kind ?? "idle"}`;
    line.hidden = !text || (busy && status.kind !== "error") || (status.kind === "info" && status.key === "opened");
    line.replaceChildren(
      h("span", { class: "amt-text", title: text }, text),
      ...(status.kind === "error"
        ? [
            status.details ? button({ text: t("details"), class: "amt-link amt-more", onclick: () => (details.hidden = !details.hidden) }) : "",
            button({ icon: "close", label: t("dismiss"), class: "amt-plain amt-dismiss", onclick: () => (local ? fail("") : model.send({ do: "clear_status" })) }),
          ]
        : []),
    );
    details.textContent = status.details ?? "";
    if (!status.details) details.hidden = true;
    title.hidden = busy || !line.hidden;
  };
  const fail = (text: string) => {
    local = text ? { kind: "error", text } : null;
    showLine();
  };

  const showWork = () => {
    const progress = model.get("progress");
    let part = 0;
    let text = "";
    const upload = uploads.job;
    if (upload) {
      part = upload.arrived / upload.file.size;
      const what = t(upload.quiet ? "upload_waits" : "uploading", { name: upload.name });
      text = `${what} · ${(upload.arrived / 1e6).toFixed(1)} / ${(upload.file.size / 1e6).toFixed(1)} MB`;
    } else if (progress) {
      part = progress.total ? progress.done / progress.total : 0;
      const amounts = progress.total ? t("of_seconds", { done: progress.done.toFixed(0), total: progress.total.toFixed(0) }) : "";
      const what = t(`what_${progress.what}`);
      const name = model.get("status")?.values?.name ?? "";
      // The name last: it is what may be cut off.
      text = [what.startsWith("what_") ? progress.what : what, amounts, name].filter(Boolean).join(" · ");
    }
    const busy = Boolean(upload || progress);
    work.hidden = !busy;
    if (busy) {
      let bar = work.querySelector<HTMLElement>(".amt-bar");
      if (!bar) {
        bar = h("div", { class: "amt-bar", role: "progressbar", "aria-label": t("progress"), "aria-valuemin": "0", "aria-valuemax": "100" }, h("i", {}));
        work.replaceChildren(
          h("span", { class: "amt-text" }),
          bar,
          button({ icon: "close", text: t("cancel"), class: "amt-cancel", onclick: cancel }),
        );
      }
      (work.querySelector(".amt-text") as HTMLElement).textContent = text;
      bar.classList.toggle("amt-unsure", part === 0);
      bar.setAttribute("aria-valuenow", String(Math.round(part * 100)));
      (bar.firstElementChild as HTMLElement).style.width = `${(part * 100).toFixed(1)}%`;
    } else work.replaceChildren();
    showLine();
  };

  // --- microphone ---------------------------------------------------------------------------------------------------

  // While the browser asks whether it may, another press starts no second recording, which nobody could end.
  let asking = false;
  const record = async () => {
    if (hub.recorder) return hub.recorder.stop();
    if (asking) return undefined;
    let stream: MediaStream;
    asking = true;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
    } catch {
      return fail(t("no_microphone"));
    } finally {
      asking = false;
    }
    const kinds = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4"];
    const mimeType = kinds.find((k) => MediaRecorder.isTypeSupported(k));
    const recorder = new MediaRecorder(stream, { mimeType, audioBitsPerSecond: 192_000 });
    const pieces: Blob[] = [];
    const name = t("record");
    hub.recordingSince = performance.now();
    recorder.ondataavailable = (e) => pieces.push(e.data);
    recorder.onstop = () => {
      stream.getTracks().forEach((track) => track.stop());
      hub.recorder = null;
      hub.emit("recording");
      const ending = mimeType?.includes("mp4") ? "m4a" : mimeType?.includes("ogg") ? "ogg" : "webm";
      const stamp = new Date().toISOString().slice(0, 16).replace("T", " ").replace(":", ".");
      uploads.send(new Blob(pieces, { type: mimeType }), `${name} ${stamp}.${ending}`);
    };
    hub.recorder = recorder;
    recorder.start(1000);
    hub.emit("recording");
    return undefined;
  };
  const micText = h("span", {}, t("record"));
  const mic = button({ icon: "mic", label: t("record"), class: "amt-mic", "aria-pressed": "false", onclick: () => void record() }, micText);
  demoButton.parentElement?.after(mic);
  let shown = 0;
  const showRecording = () => {
    clearInterval(shown);
    const on = Boolean(hub.recorder);
    mic.setAttribute("aria-pressed", String(on));
    mic.title = t(on ? "stop_recording" : "record");
    micText.className = on ? "amt-live" : "";
    const tick = () => (micText.textContent = on ? t("recording", { time: clock((performance.now() - hub.recordingSince) / 1000, 0) }) : t("record"));
    tick();
    if (on) shown = window.setInterval(tick, 250);
  };
  scope.add(hub.on("recording", showRecording));
  scope.add(() => clearInterval(shown));
  showRecording();

  // --- upload -------------------------------------------------------------------------------------------------------

  const send = (file: Blob, name: string, reference?: boolean) => {
    local = null;
    uploads.send(file, name, reference);
  };
  const cancel = () => {
    if (uploads.job) uploads.cancel();
    else model.send({ do: "cancel" });
  };
  uploads.changed = () => showWork();
  uploads.failed = (key, values) => fail(t(key, values));
  scope.listen(picker, "change", () => {
    const file = picker.files?.[0];
    if (file) send(file, file.name);
    picker.value = "";
  });
  let depth = 0;
  const over = (on: boolean) => document.documentElement.classList.toggle("amt-dropping", on);
  const mine = (e: DragEvent) => meantFor(hub, e.target as Element);
  scope.listen(document, "dragenter", (e: DragEvent) => {
    if (!mine(e) || !e.dataTransfer?.types.includes("Files")) return;
    depth += 1;
    over(true);
  });
  scope.listen(document, "dragleave", () => {
    depth = Math.max(0, depth - 1);
    if (!depth) over(false);
  });
  scope.listen(document, "dragover", (e: DragEvent) => {
    if (mine(e) && e.dataTransfer?.types.includes("Files")) e.preventDefault();
  });
  scope.listen(document, "drop", (e: DragEvent) => {
    depth = 0;
    over(false);
    const file = mine(e) ? e.dataTransfer?.files[0] : undefined;
    if (!file) return;
    e.preventDefault();
    send(file, file.name);
  });
  hub.actions.send = send;

  // Followed last, when everything that they call is there: a recording may be open, or on its way, already.
  const fillMenu = () => {
    const list = (model.get("demos") ?? []) as { id: string; name: string }[];
    const recents = (model.get("recent") ?? []) as Recent[];
    fill(
      menu,
      ...list.map((d) => h("button", { type: "button", "data-demo": d.id, onclick: () => demo(d.id) }, clipTitle(hub, d.id, d.name))),
      recents.length ? h("p", {}, t("go_on_with")) : null,
      ...recents.map((entry) => recentButton(hub, entry, false, goOn)),
    );
    demoButton.hidden = !list.length && !recents.length;
  };
  scope.watch("demos", () => {
    fillWelcome();
    fillMenu();
  });
  scope.watch("recent", fillMenu);
  scope.watch("limits", fillWelcome);
  scope.watch("recent", fillWelcome);
  scope.add(mountBanner(model, element, hub, goOn));
  scope.watch("status", () => {
    local = null;
    showLine();
  });
  scope.watch("progress", showWork);
  scope.watch("about", (about) => {
    hub.transport.expect(about?.recording);
    title.replaceChildren(
      ...(about?.name ? [h("b", { title: about.name }, clipTitle(hub, about.name, about.name.replaceAll("_", " "))), h("span", {}, clock(about.duration ?? 0, 0))] : [h("span", {}, t("tagline"))]),
    );
    saveButton.hidden = !about?.name;
    place();
  });
  return () => {
    over(false);
    scope.end();
  };
}

/** A bundled clip is called by its title, other recordings by their names. */
function clipTitle(hub: Hub, id: string, name: string): string {
  const key = `clip_${id.replace(/\.[^.]*$/, "")}`;
  const title = say(hub, key);
  return title === key ? name : title;
}

/** The mark: four notes of different colours, stepping up out of one wave. */
function mark(size = 24): HTMLElement {
  const box = h("span", { class: "amt-mark", "aria-hidden": "true" });
  box.innerHTML = `<svg viewBox="0 0 24 24" width="${size}" height="${size}"><rect x="1" y="15" width="9" height="4" rx="1.500" fill="#f2b134"/><rect x="6" y="10" width="8" height="4" rx="1.500" fill="#63c4ff"/><rect x="11" y="5" width="7" height="4" rx="1.500" fill="#1fc59a"/><rect x="14" y="15" width="9" height="4" rx="1.500" fill="#ff7f4f"/></svg>`;
  return box;
}
