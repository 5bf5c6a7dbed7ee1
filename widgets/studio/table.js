// The clips of a corpus as a table: filtered, a page at a time, a caption corrected where it stands.

const PAGE = 50;
const COLUMNS = ["title", "genre", "split", "time", "tempo", "key", "timbres", "caption"];

const make = (tag, cls, text) => {
  const el = document.createElement(tag);
  if (cls) el.className = cls;
  if (text !== undefined) el.textContent = text;
  return el;
};

function render({ model, el }) {
  let page = 0;
  let editing = null;
  const root = make("div", "amtsep-table");
  const bar = make("div", "amtsep-table-bar");
  const filter = make("input");
  filter.type = "search";
  const split = make("select");
  const count = make("span", "amtsep-dim");
  const back = make("button", "", "‹");
  const on = make("button", "", "›");
  bar.append(filter, split, count, back, on);
  const frame = make("div", "amtsep-table-frame");
  root.append(bar, frame);
  el.replaceChildren(root);

  const words = () => model.get("words");
  const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;

  const cell = (row, name) => {
    const td = make("td", `amtsep-${name}`);
    if (name === "title") {
      td.append(make("b", "", row.title));
      if (row.artist) td.append(make("span", "amtsep-dim", ` ${row.artist}`));
    } else if (name === "genre") {
      td.append(row.genre === "unknown" ? "–" : row.genre);
      if (row.genre_by === "guess") td.append(make("span", "amtsep-guess", ` ${words().guess} ${Math.round(100 * row.genre_probability)} %`));
      const told = model.get("guesses")[row.audio];
      if (told) td.append(make("div", `amtsep-guess${told.right === false ? " amtsep-other" : ""}`, told.text));
    } else if (name === "split") td.append(words()[row.split] ?? row.split);
    else if (name === "time") td.append(`${clock(row.start_s)} – ${clock(row.start_s + row.duration_s)}`);
    else if (name === "caption") {
      if (row.caption_by === "hand") {
        const hand = make("span", "amtsep-hand", "✎ ");
        hand.title = words().hand;
        td.append(hand);
      }
      td.append(make("span", "amtsep-words", row.caption));
      const button = make("button", "amtsep-edit", words().correct);
      button.onclick = (e) => { e.stopPropagation(); edit(td, row); };
      td.append(button);
      td.ondblclick = () => edit(td, row);
    } else td.append(row[name] == null ? "–" : name === "tempo" ? String(Math.round(row[name])) : String(row[name]));
    return td;
  };

  const edit = (td, row) => {
    if (editing) return;
    editing = row.audio;
    const area = make("textarea");
    area.value = row.caption;
    area.setAttribute("aria-label", words().caption);
    const end = (keep) => {
      if (editing !== row.audio) return;
      editing = null;
      const text = area.value.trim();
      if (keep && text && text !== row.caption) model.send({ do: "caption", audio: row.audio, text });
      draw();
    };
    area.onkeydown = (e) => {
      e.stopPropagation();
      if (e.key === "Enter" && !e.shiftKey) { e.preventDefault(); end(true); }
      if (e.key === "Escape") end(false);
    };
    area.onblur = () => end(true);
    area.onclick = (e) => e.stopPropagation();
    td.replaceChildren(area);
    area.focus();
  };

  const draw = () => {
    if (editing) return;
    const rows = model.get("rows");
    const said = filter.value.trim().toLowerCase();
    const shown = rows.filter((r) => (!split.value || r.split === split.value)
      && (!said || `${r.title} ${r.artist} ${r.genre} ${r.caption}`.toLowerCase().includes(said)));
    const pages = Math.max(1, Math.ceil(shown.length / PAGE));
    page = Math.min(page, pages - 1);
    count.textContent = words().count.replace("{n}", shown.length) + (pages > 1 ? ` · ${page + 1} / ${pages}` : "");
    back.hidden = on.hidden = pages < 2;
    back.disabled = page === 0;
    on.disabled = page === pages - 1;
    const table = make("table");
    const head = make("tr");
    for (const name of COLUMNS) head.append(make("th", `amtsep-${name}`, words()[name]));
    table.append(make("thead"), make("tbody"));
    table.tHead.append(head);
    for (const row of shown.slice(page * PAGE, (page + 1) * PAGE)) {
      const tr = make("tr");
      tr.tabIndex = 0;
      tr.dataset.audio = row.audio;
      if (row.audio === model.get("selected")) tr.setAttribute("aria-selected", "true");
      tr.append(...COLUMNS.map((name) => cell(row, name)));
      tr.onclick = () => model.send({ do: "select", audio: row.audio });
      tr.onkeydown = (e) => {
        if (e.target !== tr) return;
        const next = { ArrowDown: tr.nextElementSibling, ArrowUp: tr.previousElementSibling }[e.key];
        if (next) { e.preventDefault(); next.focus(); }
        if (e.key === "Enter") model.send({ do: "select", audio: row.audio });
      };
      table.tBodies[0].append(tr);
    }
    const [at, held] = [frame.scrollTop, frame.querySelector("tr:focus")?.dataset.audio];
    frame.replaceChildren(table);
    frame.scrollTop = at;
    if (held) [...table.tBodies[0].rows].find((tr) => tr.dataset.audio === held)?.focus({ preventScroll: true });
  };

  const name = () => {
    filter.placeholder = words().filter;
    filter.setAttribute("aria-label", words().filter);
    split.setAttribute("aria-label", words().split);
    back.setAttribute("aria-label", words().back);
    on.setAttribute("aria-label", words().on);
    split.replaceChildren(...["", "train", "validation", "test"].map((v) => {
      const option = make("option", "", v ? words()[v] : words().all);
      option.value = v;
      return option;
    }));
  };
  name();
  draw();
  filter.oninput = split.onchange = () => { page = 0; draw(); };
  back.onclick = () => { page -= 1; draw(); };
  on.onclick = () => { page += 1; draw(); };
  const traits = ["rows", "selected", "guesses"].map((trait) => `change:${trait}`);
  traits.forEach((trait) => model.on(trait, draw));
  return () => traits.forEach((trait) => model.off(trait, draw));
}

export default { render };
