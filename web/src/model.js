// What the dashboard's parts talk to. In the dashboard it is anywidget's model, with Python behind it; here the answers
// come from this page.

export class PageModel {
  constructor(traits, receive) {
    this.traits = new Map(Object.entries(traits));
    this.receive = receive;
    this.handlers = new Map();
    /** Called with the name of what a part has set. */
    this.changed = () => undefined;
  }

  /** The same model as one panel sees it: a trait "panel.name" is that panel's own. */
  as(panel) {
    const { traits } = this;
    const own = (name) => (traits.has(`${panel}.${name}`) ? `${panel}.${name}` : name);
    return {
      get: (name) => (name === "panel" ? panel : traits.get(own(name))),
      set: (name, value) => {
        traits.set(name, value);
        this.changed(name);
      },
      save_changes: () => undefined,
      // Never within the call: the parts expect an answer to come later.
      send: (content, _callbacks, buffers = []) => queueMicrotask(() => this.receive(content, buffers)),
      on: (event, handler) => {
        const [kind, name] = event.split(/:(.*)/);
        const key = kind === "change" ? `change:${own(name)}` : event;
        if (!this.handlers.has(key)) this.handlers.set(key, new Set());
        this.handlers.get(key).add(handler);
      },
      off: (event, handler) => {
        for (const name of [event, event.replace("change:", `change:${panel}.`)]) this.handlers.get(name)?.delete(handler);
      },
    };
  }

  get(name) {
    return this.traits.get(name);
  }

  /** Set several traits, then tell who follows them. */
  update(values) {
    for (const [name, value] of Object.entries(values)) this.traits.set(name, value);
    for (const name of Object.keys(values)) this.emit(`change:${name}`);
  }

  /** A message to the parts. */
  post(content, buffers = []) {
    this.emit("msg:custom", content, buffers);
  }

  emit(event, ...values) {
    for (const handler of [...(this.handlers.get(event) ?? [])]) handler(...values);
  }
}
