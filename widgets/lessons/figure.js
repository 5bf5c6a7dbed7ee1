// A plotly figure whose plotly is fetched once a page, and which misses nothing that Python says meanwhile.
//
// plotly's own widget carries its 5 MB of code in every figure. anywidget gives a widget two seconds to begin, and
// drops whatever is said to one that took longer (a slow laptop, four figures at once): its picture stays empty for
// good. Here the code comes once, from a model that all figures share, and what Python says comes over a plain model,
// which waits for nothing.
const KEY = Symbol.for("amtsep.plotly");
const SAID = ["addTraces", "deleteTraces", "moveTraces", "restyle", "relayout", "update", "animate",
  "removeLayoutProps", "removeTraceProps"].map((name) => `_py2js_${name}`);

function load(library) {
  const kept = (globalThis[KEY] ??= new Map());
  const version = library.get("version");
  if (!kept.has(version)) {
    const url = URL.createObjectURL(new Blob([library.get("source")], { type: "text/javascript" }));
    const module = import(url).finally(() => URL.revokeObjectURL(url));
    kept.set(version, module);
    module.catch(() => kept.delete(version));
  }
  return kept.get(version);
}

async function begin(model) {
  const manager = model.widget_manager;
  const line = await manager.get_model(model.get("_line"));
  const said = {
    // Nothing said yet is undefined; what was taken back is null.
    get: (name) => (line.get(name) === undefined ? model.get(name) : line.get(name)),
    set: (name, value) => {
      // The same again (a second click on one point) is news: Python has taken the first back.
      model.set(name, null);
      model.set(name, value);
    },
    save_changes: () => model.save_changes(),
    on: (name, call) => line.on(name, call),
    off: (name, call) => line.off(name, call),
  };
  let waiting = []; // said since the whole was told last, while there was no picture to change
  line.on("change:_widget_data", () => { waiting = []; });
  for (const name of SAID) {
    line.on(`change:${name}`, () => {
      const value = line.get(name);
      if (value) waiting?.push([name, value]);
    });
  }
  const module = await load(await manager.get_model(model.get("_library")));
  const widget = module.default();
  widget.initialize({ model: said });
  const told = () => said.get("_widget_data")?.length > 0;
  if (!told()) {
    await new Promise((resolve) => {
      const look = () => {
        if (told()) {
          line.off("change:_widget_data", look);
          resolve();
        }
      };
      line.on("change:_widget_data", look);
    });
  }
  const catchUp = () => {
    const late = waiting ?? [];
    waiting = null;
    for (const [name, value] of late) {
      line.set(name, null);
      line.set(name, value);
    }
  };
  return { widget, said, catchUp };
}

export default () => {
  let begun;
  return {
    initialize({ model }) {
      // Not at once: reading 5 MB may take longer than a widget has to begin.
      if (model.get("source")) setTimeout(() => load(model), 0);
      else begun = begin(model);
    },
    async render({ el, signal }) {
      const { widget, said, catchUp } = await begun;
      if (signal?.aborted) return undefined;
      const remove = widget.render({ model: said, el });
      catchUp();
      // A figure takes the width that it finds; a cell that is laid out later gives it another.
      let width = el.clientWidth;
      const observer = new ResizeObserver(() => {
        if (el.clientWidth && el.clientWidth !== width) {
          width = el.clientWidth;
          el._responsiveChartHandler?.();
        }
      });
      observer.observe(el);
      return () => {
        observer.disconnect();
        remove();
      };
    },
  };
};
