"""The life of the page: what leaves it is freed, a theme is a change of colours, a break loses nothing."""

from __future__ import annotations

from pathlib import Path

BUNDLE = Path(__file__).resolve().parents[2] / "widgets" / "static" / "amtsep.js"
MODEL = """values => {
  const handlers = [];
  const sent = [];
  return {
    sent, handlers,
    get: (name) => values[name],
    set: (name, value) => { values[name] = value; },
    save_changes: () => {},
    send: (content) => sent.push(content),
    on: (event, handler) => handlers.push([event, handler]),
    off: (event, handler) => {
      const at = handlers.findIndex(([e, f]) => e === event && f === handler);
      if (at >= 0) handlers.splice(at, 1);
    },
  };
}"""


def test_what_leaves_the_page_leaves_no_sound_behind(chromium):
    """As when a cell is run again: the views of before go, and with them the samples and the audio context."""
    page = chromium.new_page()
    page.route("http://page.test/", lambda route: route.fulfill(body="<body></body>", content_type="text/html"))
    page.route("**/amtsep.js", lambda route: route.fulfill(path=BUNDLE, content_type="text/javascript"))
    page.goto("http://page.test/")
    found = page.evaluate(
        f"""async () => {{
          const {{ default: {{ render }} }} = await import("/amtsep.js");
          const model = {MODEL};
          const hubs = () => globalThis[Symbol.for("amtsep.hubs")];
          const contexts = [];
          const later = (ms) => new Promise((done) => setTimeout(done, ms));
          const models = [];
          for (let run = 0; run < 3; run++) {{
            const ends = [];
            for (const panel of ["source", "roll", "thresholds", "timbres", "player"]) {{
              const el = document.body.appendChild(document.createElement("div"));
              const made = model({{ panel, session_id: `run ${{run}}`, about: {{ duration: 10 }} }});
              models.push(made);
              ends.push(render({{ model: made, el }}), () => el.remove());
            }}
            const {{ transport }} = hubs().get(`run ${{run}}`);
            transport.setRecording(new Float32Array(22050 * 10), 22050);
            contexts.push(transport.ready());
            for (const end of ends) end();
            // Shown anew at once, as when a cell's output is moved, it is still there.
            if (run === 0) {{
              const el = document.body.appendChild(document.createElement("div"));
              const end = render({{ model: models.at(-1), el }});
              if (hubs().get("run 0").transport !== transport || !transport.recording) throw new Error("lost");
              end();
              el.remove();
            }}
          }}
          for (let i = 0; i < 200 && (hubs().size || contexts.some((c) => c.state !== "closed")); i++) await later(50);
          return [hubs().size, contexts.map((c) => c.state), models.map((m) => m.handlers.length)];
        }}"""
    )
    page.close()
    assert found == [0, ["closed"] * 3, [0] * 15]


def test_a_theme_builds_nothing_anew(opened):
    app = opened
    app.page.evaluate(
        "() => document.querySelectorAll('.amt-play, .amt-track, .amt-save, .amt-slider').forEach(e => e.mine = 1)"
    )
    before = app.page.evaluate("() => getComputedStyle(document.querySelector('.amt-source')).color")
    app.page.click(".amt-theme")
    app.page.wait_for_function("c => getComputedStyle(document.querySelector('.amt-source')).color !== c", arg=before)
    kept = app.page.evaluate("() => ['.amt-play', '.amt-save', '.amt-slider'].map(s => document.querySelector(s).mine)")
    assert kept == [1, 1, 1]
    app.page.click(".amt-theme")


def test_a_page_that_was_away_asks_for_everything(opened):
    app = opened
    n = app.hub("hub.notes.n")
    # As after a break in which messages were lost: the page shows what is no longer so.
    app.hub("hub.select([0])")
    app.hub("hub.setNotes({...hub.notes, n: 0})")
    app.hub("hub.emit('anew')")
    app.until(f"hub.notes.n === {n}")
