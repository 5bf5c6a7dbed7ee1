// The transport bar.

import { unpackStrokes } from "../drums";
import { button, h, icon } from "../dom";
import type { Hub } from "../hub";
import { say } from "../i18n";
import { info } from "../info";
import { type Model, Scope, floats, octets } from "../model";
import { SNAPS, type Snap } from "../grid";
import { clock, unpack } from "../notes";
import { readSoundfont } from "../sound/soundfont";

export function mountPlayer(model: Model, element: HTMLElement, hub: Hub): () => void {
  const scope = new Scope(model);
  const { transport } = hub;
  const t = (key: string, values?: Record<string, unknown>) => say(hub, key, values);

  // Alone in a notebook there is no roll to bring the notes.
  if (!hub.actions.roll) {
    scope.watch("tracks", (value) => hub.setTracks(value?.list ?? [], value?.mix));
    scope.watch("notes_data", (value) => hub.setNotes(unpack(floats(value))));
    scope.watch("kit", (value) => hub.setKit(value ?? {}, true));
    scope.watch("stroke_data", (value) => hub.setStrokes(unpackStrokes(floats(value))));
    scope.watch("about", (about) => (hub.duration = about?.duration ?? 0));
  }

  const play = button({ class: "amt-play", label: t("play"), keys: "Space", onclick: () => transport.toggle() });
  const back = button({ icon: "back", label: t("to_start"), keys: "Home", class: "amt-back", onclick: () => transport.seek(transport.loop.on ? transport.loop.from : 0) });
  const loop = button({ icon: "loop", label: `${t("loop")}: ${t("loop_hint")}`, keys: "L", class: "amt-loop", "aria-pressed": "false", onclick: () => hub.actions.loop() });
  // Both need the beats, which are found when they are first asked for.
  const grid = () => hub.actions.grid?.(Boolean(hub.snap) || transport.metronome);
  const metronome = button({ icon: "metronome", label: t("metronome"), keys: "M", class: "amt-metronome", "aria-pressed": "false", onclick: () => hub.actions.metronome() });
  hub.actions.metronome = () => {
    if (!hub.actions.grid) return;
    transport.setMetronome(!transport.metronome);
    grid();
  };
  const snapInfo = info(hub, "snap");
  const snap = h(
    "select",
    {
      class: "amt-select amt-snap",
      "aria-label": t("snap"),
      title: t("snap_hint"),
      onchange: () => {
        hub.snap = snap.value as Snap;
        grid();
      },
    },
    ...SNAPS.map((name) => h("option", { value: name }, t(`snap_${name || "off"}`))),
  );
  const bends = button({ icon: "bend", label: t("bends"), keys: "P", class: "amt-plain amt-bends", onclick: () => hub.actions.bends() });
  hub.actions.bends = () => {
    hub.bends = !hub.bends;
    hub.emit("bends");
    show();
  };
  const time = h("div", { class: "amt-time" }, h("b", {}), h("span", {}));
  const blend = h("input", { type: "range", min: "0", max: "1", step: "0.01", class: "amt-range amt-blend", "aria-label": t("blend"), oninput: () => transport.setBlend(Number(blend.value)), ondblclick: () => transport.setBlend(0.5) });
  const split = button({ label: `${t("split")}: ${t("split_hint")}`, class: "amt-split amt-small", "aria-pressed": "false", onclick: () => transport.setBlend(transport.blend, !transport.split) }, h("span", { class: "amt-wide" }, t("split")), h("span", { class: "amt-narrow" }, t("split_short")));
  const speed = h("input", { type: "range", min: "-2", max: "1", step: "0.05", class: "amt-range amt-speed", "aria-label": t("speed"), title: t("speed"), oninput: () => transport.setRate(2 ** Number(speed.value)), ondblclick: () => transport.setRate(1) });
  const speedValue = h("output", {});
  const volume = h("input", { type: "range", min: "0", max: "1", step: "0.01", class: "amt-range amt-volume", "aria-label": t("volume"), title: t("volume"), oninput: () => transport.setVolume(Number(volume.value)) });
  const view = () => hub.actions.roll?.();
  const follow = button({ icon: "follow", label: t("follow"), keys: "F", class: "amt-plain amt-follow", onclick: () => hub.actions.follow() });
  hub.actions.follow = () => {
    if (view()) view().follow = !view().follow;
    show();
  };
  const fit = button({ icon: "fit", label: t("fit"), keys: "0", class: "amt-plain amt-fit", onclick: () => view()?.fit(true) });
  const ground = h(
    "select",
    { class: "amt-select amt-ground", "aria-label": t("ground_label"), title: t("ground_label"), onchange: () => hub.actions.ground?.(ground.value) },
    ...["spectrogram", "posterior", "none"].map((k) => h("option", { value: k }, t(`ground_${k}`))),
  );
  const toggleView = (what: "names" | "lane") =>
    button({
      text: t(`view_${what}`),
      label: t(`hint_view_${what}`),
      class: `amt-small amt-view-${what}`,
      "aria-pressed": "false",
      onclick: () => {
        if (!view()) return;
        view()[what] = !view()[what];
        view().stale();
        show();
      },
    });
  const names = toggleView("names");
  const lane = toggleView("lane");
  const opacity = h("input", {
    type: "range",
    min: "0",
    max: "1",
    step: "0.05",
    class: "amt-range amt-opacity",
    "aria-label": t("opacity"),
    title: t("opacity"),
    oninput: () => {
      if (!view()) return;
      view().opacity = Number(opacity.value);
      view().stale();
    },
  });
  const sound = h("span", { class: "amt-note", role: "status" });
  const more = button({ icon: "more", label: t("more_controls"), class: "amt-plain amt-only-small amt-player-more", "aria-expanded": "false", onclick: () => {
    const all = element.classList.toggle("amt-all");
    more.setAttribute("aria-expanded", String(all));
  } });
  // Where the bar has no room for them in one row, what changes the picture of the notes waits above one button.
  const inBar = (word: string, ...made: (Node | null)[]) => h("span", { class: "amt-tool" }, h("span", { class: "amt-end" }, t(word)), ...made);
  const snapping = inBar("snap", snap, snapInfo);
  const looks = h(
    "div",
    { class: "amt-group amt-view amt-pop", id: `amt-view-${Math.random().toString(36).slice(2)}`, role: "group", "aria-label": t("view") },
    snapping,
    inBar("view_notes", names, lane, bends),
    inBar("view_ground", ground, opacity, info(hub, "ground")),
  );
  const showLooks = (open: boolean) => {
    element.classList.toggle("amt-view-open", open);
    opener.setAttribute("aria-expanded", String(open));
    if (open) hub.actions.close = closeLooks;
    else if (hub.actions.close === closeLooks) delete hub.actions.close;
  };
  const closeLooks = () => {
    showLooks(false);
    opener.focus();
    return true;
  };
  const isOpen = () => element.classList.contains("amt-view-open");
  const opener = button({
    text: t("view"),
    class: "amt-small amt-view-opener",
    "aria-expanded": "false",
    "aria-controls": looks.id,
    onclick: () => {
      if (!isOpen()) hub.actions.close?.();
      showLooks(!isOpen());
    },
  });
  opener.append(icon("down", 12));
  scope.listen(document, "pointerdown", (e: PointerEvent) => {
    const at = e.target as Node;
    if (isOpen() && !looks.contains(at) && !opener.contains(at)) showLooks(false);
  });
  // A menu keeps Escape to itself.
  scope.listen(looks, "keydown", (e: KeyboardEvent) => {
    if (e.key === "Escape") closeLooks();
  });
  const reach = h("div", { class: "amt-group amt-reach" }, opener, fit, follow, info(hub, "tools"));
  element.append(
    h("div", { class: "amt-group" }, back, play, loop, metronome),
    time,
    h("div", { class: "amt-group amt-mixer" }, h("span", { class: "amt-end" }, t("rec")), blend, h("span", { class: "amt-end" }, t("notes")), split, info(hub, "blend")),
    h("div", { class: "amt-group" }, h("span", { class: "amt-end amt-wide" }, t("speed")), speed, speedValue, info(hub, "speed")),
    h("div", { class: "amt-group" }, h("span", { class: "amt-end amt-wide" }, t("volume")), h("span", { class: "amt-end amt-narrow" }, icon("speaker") as unknown as Node), volume, info(hub, "volume")),
    more,
    sound,
    looks,
    reach,
  );
  hub.actions.loop = () => {
    const window = view()?.window;
    if (transport.loop.to <= transport.loop.from && window) {
      Object.assign(transport.loop, { from: Math.max(0, window.t0), to: Math.min(window.t1, hub.duration) });
    }
    transport.setLoop({ on: !transport.loop.on });
  };

  const show = () => {
    play.replaceChildren(icon(transport.playing || transport.wanted ? "pause" : "play", 22));
    const on = transport.playing || transport.wanted;
    play.setAttribute("aria-label", t(on ? "pause" : "play"));
    play.setAttribute("aria-pressed", String(on));
    play.classList.toggle("amt-waits", transport.wanted);
    if (transport.wanted || transport.loading) sound.textContent = t(transport.wanted ? "sound_waits" : "sound_loading");
    loop.setAttribute("aria-pressed", String(transport.loop.on));
    metronome.setAttribute("aria-pressed", String(transport.metronome));
    snapping.hidden = metronome.hidden = bends.hidden = !hub.actions.grid;
    snap.value = hub.snap;
    bends.setAttribute("aria-pressed", String(hub.bends));
    split.setAttribute("aria-pressed", String(transport.split));
    blend.value = String(transport.blend);
    speed.value = String(Math.log2(transport.rate));
    speedValue.textContent = `×${transport.rate.toFixed(2)}`;
    volume.value = String(transport.volume);
    follow.setAttribute("aria-pressed", String(Boolean(view()?.follow)));
    looks.hidden = reach.hidden = !view();
    for (const [made, what] of [[names, "names"], [lane, "lane"]] as const) made.setAttribute("aria-pressed", String(Boolean(view()?.[what])));
    opacity.value = String(view()?.opacity ?? 1);
    ground.value = view()?.groundKind ?? "spectrogram";
  };
  scope.add(hub.on("transport", show));
  scope.add(hub.on("slot", show));
  scope.add(hub.on("grid", show));
  show();
  let frame = 0;
  let shown = "";
  const tick = () => {
    const text = clock(transport.position);
    if (text !== shown) {
      shown = text;
      (time.firstChild as HTMLElement).textContent = text;
      (time.lastChild as HTMLElement).textContent = ` / ${clock(hub.duration, 0)}`;
    }
    frame = requestAnimationFrame(tick);
  };
  tick();
  scope.add(() => cancelAnimationFrame(frame));
  scope.add(hub.on("duration", () => (shown = "")));

  // --- the recording's samples come in pieces, asked for one after the other -----------------------------------------

  let asked = false;
  let samples: Float32Array<ArrayBuffer> | null = null;
  const wantSoundfont = () => {
    if (transport.soundfont || asked) return;
    asked = true;
    model.send({ do: "soundfont" });
  };
  const want = (version: number, start: number) => model.send({ do: "sound", version, start });
  let next = 0;
  scope.add(hub.on("anew", () => samples && !transport.recording && want(model.get("sound")?.version, next)));
  scope.watch("sound", (about) => {
    next = 0;
    transport.show(about?.version);
    if (hub.actions.sound_version?.() === about?.version && transport.recording) return;
    transport.expect(about?.recording);
    transport.setRecording(null, 1);
    samples = about?.samples ? new Float32Array(about.samples) : null;
    sound.textContent = "";
    if (samples) {
      sound.textContent = t("sound_loading");
      want(about.version, 0);
    }
  });
  scope.message((content, buffers) => {
    const about = model.get("sound") ?? {};
    if (content.do === "soundfont" && content.size) {
      try {
        transport.setSoundfont(readSoundfont(octets(buffers[0]).slice()));
      } catch {
        // The built-in synthesiser goes on: a damaged soundfont is no reason for silence.
        transport.setSoundfont(null);
      }
    }
    if (content.do === "original" && content.version === about.version) void original(content, buffers);
    if (content.do !== "sound" || content.version !== about.version || !samples) return;
    const bytes = octets(buffers[0]).slice();
    const piece = new Int16Array(bytes.buffer, 0, bytes.length >> 1);
    for (let i = 0; i < piece.length; i++) samples[content.start + i] = piece[i] / 32767;
    next = content.start + piece.length;
    if (next < samples.length && piece.length) want(about.version, next);
    else {
      transport.setRecording(samples, about.rate, about.recording);
      hub.actions.sound_version = () => about.version;
      sound.textContent = "";
      wantSoundfont();
      if (about.original) model.send({ do: "original", version: about.version, start: 0 });
    }
  });

  // The recording as it was brought comes after the copy that the network heard, and takes its place.
  let pieces: Uint8Array<ArrayBuffer>[] = [];
  const original = async (content: any, buffers: DataView[]) => {
    if (content.buffer) return transport.setOriginal(content.buffer);
    if (!content.start) pieces = [];
    pieces.push(octets(buffers[0]).slice() as Uint8Array<ArrayBuffer>);
    const next = content.start + buffers[0].byteLength;
    if (next < content.size) return model.send({ do: "original", version: content.version, start: next });
    const bytes = await new Blob(pieces).arrayBuffer();
    pieces = [];
    try {
      const buffer = await new OfflineAudioContext(2, 1, flacRate(bytes)).decodeAudioData(bytes);
      if (content.version === model.get("sound")?.version) transport.setOriginal(buffer);
    } catch {
      // The copy that the network heard plays on.
    }
  };

  // --- what Python may follow and set ----------------------------------------------------------------------------------

  const tell = (name: string, value: unknown) => {
    if (model.get(name) === value) return;
    model.set(name, value);
    model.save_changes();
  };
  let told = performance.now();
  const report = () => {
    const every = Number(model.get("report_s") ?? 0);
    if (!every || (transport.playing && performance.now() - told < 1000 * every)) return;
    told = performance.now();
    tell("position", Math.round(transport.position * 1000) / 1000);
  };
  const clockwork = window.setInterval(() => transport.playing && report(), 50);
  scope.add(() => clearInterval(clockwork));
  scope.add(
    hub.on("transport", () => {
      tell("playing", transport.playing);
      tell("speed", transport.rate);
      report();
    }),
  );
  scope.watch("playing", (value) => {
    if (value !== undefined && value !== transport.playing) transport.toggle();
  });
  scope.watch("speed", (value) => {
    if (value && value !== transport.rate) transport.setRate(value);
  });
  // Not at once, as the others are: a player that is built again while it sounds goes on where it is.
  const jump = () => {
    const value = Number(model.get("position"));
    if (Math.abs(value - transport.position) > 0.3) transport.seek(value);
  };
  model.on("change:position", jump);
  scope.add(() => model.off("change:position", jump));
  scope.message((content) => {
    if (content.do !== "audition") return;
    wantSoundfont();
    void transport.audition(content.pitch, 0, 90, content.seconds, content.program);
  });
  return () => scope.end();
}

/** Sampling rate in the header of a FLAC file: 20 bits, ten bytes into its first block. */
function flacRate(bytes: ArrayBuffer): number {
  const at = new Uint8Array(bytes, 18, 3);
  return (at[0] << 12) | (at[1] << 4) | (at[2] >> 4);
}
