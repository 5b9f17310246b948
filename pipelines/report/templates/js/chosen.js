/** Which data set and which of its configurations the explorer shows; everything in it is drawn again on a change. */
const chosen = { dataset: Object.keys(page.datasets)[0], rows: [], redraw: [] };
const PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#882255", "#999933", "#5f6368", "#332288"];
const current = () => page.datasets[chosen.dataset];
const colourOf = (row) => PALETTE[chosen.rows.indexOf(row) % PALETTE.length];

function changed() {
  for (const box of document.querySelectorAll("#configurations input[type=checkbox]")) box.checked = chosen.rows.includes(Number(box.value));
  for (const redraw of chosen.redraw) redraw();
}

function toggle(row) {
  chosen.rows = chosen.rows.includes(row) ? chosen.rows.filter((other) => other !== row) : [...chosen.rows, row];
  changed();
}

/** The baseline and the best by the first headline. */
function best(count) {
  const { configurations } = current();
  const score = (row) => mean(configurations[row].quality);
  const order = [...configurations.keys()].filter((row) => Number.isFinite(score(row))).sort((a, b) => score(b) - score(a));
  return [...new Set([configurations.findIndex((row) => row.baseline), ...order])].slice(0, count);
}

function list() {
  const boxes = current().configurations.map(({ name, baseline }, row) => make("label", {},
    make("input", { type: "checkbox", value: row, onchange: () => toggle(row) }), ` ${name}${baseline ? " (baseline)" : ""}`));
  const filter = make("input", {
    type: "search", placeholder: "Filter configurations", "aria-label": "Filter the configurations",
    oninput: () => {
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const box of boxes) box.hidden = !matches(box.textContent.toLowerCase(), words);
    },
  });
  const choose = (rows) => () => { chosen.rows = rows(); changed(); };
  const shown = () => boxes.flatMap((box, row) => box.hidden ? [] : [row]);
  document.getElementById("configurations").replaceChildren(
    make("div", { class: "filter" }, filter,
      make("button", { type: "button", onclick: choose(() => best(4)) }, "Baseline and best three"),
      make("button", { type: "button", onclick: choose(shown) }, "All that are listed"),
      make("button", { type: "button", onclick: choose(() => []) }, "None")),
    make("div", { class: "boxes" }, ...boxes));
}

function choose(dataset) {
  chosen.dataset = dataset;
  chosen.rows = best(4);
  list();
  changed();
}

{
  const select = document.getElementById("dataset");
  for (const [name, { title }] of Object.entries(page.datasets)) select.append(make("option", { value: name }, title));
  select.closest("label").hidden = select.options.length < 2;
  select.addEventListener("change", () => choose(select.value));
}
