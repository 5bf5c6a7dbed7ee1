// The head of the page: its name, and the language, which the dashboard on this computer remembers too.

const LANGUAGES = { en: "English", zh: "中文" };

function render({ model, el }) {
  let remembered = null;
  try { remembered = localStorage.getItem("amtsep.language"); } catch { /* private windows may refuse */ }
  const wanted = model.get("asked") || remembered || (navigator.language.startsWith("zh") ? "zh" : "en");
  const root = document.createElement("header");
  root.className = "amtsep-head";
  const draw = () => {
    const language = model.get("language");
    root.innerHTML = "<h1></h1><span class='amtsep-dim'></span><nav></nav>";
    root.querySelector("h1").textContent = model.get("title");
    root.querySelector("span").textContent = model.get("folder");
    for (const [code, name] of Object.entries(LANGUAGES)) {
      const button = document.createElement("button");
      button.textContent = name;
      button.lang = code;
      button.setAttribute("aria-pressed", String(code === language));
      button.onclick = () => {
        try { localStorage.setItem("amtsep.language", code); } catch { /* lasts as long as the page */ }
        for (const hub of globalThis[Symbol.for("amtsep.hubs")]?.values() ?? []) hub.prefer({ language: code });
        choose(code);
      };
      root.querySelector("nav").append(button);
    }
    document.documentElement.lang = language;
    if (document.body.dataset.voila !== undefined) document.title = model.get("title");
  };
  const choose = (code) => {
    if (code === model.get("language")) return;
    model.set("language", code);
    model.save_changes();
  };
  el.replaceChildren(root);
  draw();
  const traits = ["change:language", "change:title"];
  traits.forEach((trait) => model.on(trait, draw));
  choose(wanted);
  // The kernel may have waited with the page for long: what lies in the folder may be newer.
  model.send({ do: "here" });
  return () => traits.forEach((trait) => model.off(trait, draw));
}

export default { render };
