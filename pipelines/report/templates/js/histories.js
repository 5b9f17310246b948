/** Histories side by side: a panel for each configuration or each series, one cursor and one zoom for all. */
const history_ = { plots: [], panels: document.getElementById("history-panels") };
const MOST_PANELS = 24;
const control = (name) => document.getElementById(name);

/** Panels as {title, lines}, a line being {name, colour, x, mean, low, high}. */
function panelsOf(kind, split) {
  const lines = chosen.rows.flatMap((row) => {
    const { x, series } = current().histories[row][kind];
    const places = unpack(x);
    return series.map((one) => ({
      row, x: places, series: one.name, configuration: current().configurations[row].name, own: one.colour,
      ...Object.fromEntries(["mean", "low", "high"].map((part) => [part, one[part] && unpack(one[part])])),
    }));
  });
  const panels = new Map();
  for (const line of lines) {
    const [title, name] = split === "configuration" ? [line.configuration, line.series] : [line.series, line.configuration];
    const colour = split === "configuration" ? line.own : colourOf(line.row);
    if (!panels.has(title)) panels.set(title, []);
    panels.get(title).push({ ...line, name, colour });
  }
  return [...panels].map(([title, members]) => ({ title, lines: members }));
}

/** Lines of different lengths on one axis: each value at its own place, nothing between. */
function joined(lines) {
  const x = [...new Set(lines.flatMap((line) => line.x))].sort((a, b) => a - b);
  const place = new Map(x.map((value, index) => [value, index]));
  const spread = (line, part) => {
    const values = Array(x.length).fill(undefined);
    line.x.forEach((value, index) => { values[place.get(value)] = line[part][index]; });
    return values;
  };
  return [x, ...lines.flatMap((line) => line.low ? ["mean", "low", "high"].map((part) => spread(line, part)) : [spread(line, "mean")])];
}

function drawPanel({ title, lines }, range) {
  const readOut = make("ul", { class: "read-out" });
  const holder = make("div", { class: "plot" });
  const panel = make("article", { class: "panel", tabindex: 0, "aria-label": `${title}: arrow keys read, + and - zoom, 0 shows all` },
    make("h4", {}, title), holder, readOut);
  history_.panels.append(panel);
  const series = [{}];
  const bands = [];
  const places = [];
  for (const line of lines) {
    places.push(series.length);
    series.push({ stroke: () => shade(line.colour), width: 1.6, spanGaps: true, points: { show: false } });
    if (!line.low) continue;
    bands.push({ series: [series.length + 1, series.length], fill: () => pale(line.colour) });
    for (let edge = 0; edge < 2; edge += 1) series.push({ stroke: "transparent", width: 0, spanGaps: true, points: { show: false } });
  }
  const data = joined(lines);
  const read = (plot) => {
    const index = plot.cursor.idx ?? data[0].length - 1;
    const near = (values) => { let at = index; while (at > 0 && values[at] === undefined) at -= 1; return values[at]; };
    readOut.replaceChildren(make("li", { class: "quiet" }, `epoch ${digits(data[0][index], 3)}`), ...lines.map((line, number) => {
      const [middle, low, high] = [0, 1, 2].map((part) => near(data[places[number] + (line.low ? part : 0)]));
      const chip = make("i", {});
      chip.style.background = shade(line.colour);
      return make("li", {}, chip, `${line.name} ${digits(middle)}${low < high ? ` (${digits(low, 3)} to ${digits(high, 3)})` : ""}`);
    }));
  };
  const axis = () => ({
    stroke: () => style("--quiet"), font: "11px system-ui, sans-serif", ticks: { show: false },
    grid: { stroke: () => style("--line"), width: 1 },
  });
  const plot = new uPlot({
    width: Math.max(220, holder.clientWidth), height: 210, series, bands, padding: [8, 8, 0, 0],
    legend: { show: false }, scales: { x: { time: false }, y: range ? { range } : {} },
    axes: [{ ...axis(), size: 26, space: 60 }, { ...axis(), size: 48 }],
    cursor: { sync: { key: "histories", scales: ["x", null] }, drag: { x: true, y: false }, focus: { prox: -1 } },
    hooks: { setCursor: [read], ready: [read] },
  }, data, holder);
  panel.addEventListener("keydown", (event) => steer(event, plot));
  history_.plots.push(plot);
}

function zoom(min, max) {
  for (const plot of history_.plots) plot.setScale("x", { min, max });
}

function whole() {
  zoom(Math.min(...history_.plots.map((plot) => plot.data[0][0])), Math.max(...history_.plots.map((plot) => plot.data[0].at(-1))));
}

function steer(event, plot) {
  const x = plot.data[0];
  const { min, max } = plot.scales.x;
  const index = plot.cursor.idx ?? x.length - 1;
  const to = (target) => {
    const at = Math.max(0, Math.min(x.length - 1, target));
    for (const one of history_.plots) one.setCursor({ left: one.valToPos(x[at], "x"), top: 50 });
  };
  const centre = x[index];
  const step = Math.max(1, Math.round(x.length / 80));
  const keys = {
    ArrowLeft: () => to(index - step), ArrowRight: () => to(index + step), Home: () => to(0), End: () => to(x.length - 1),
    "+": () => zoom(centre - (centre - min) / 2, centre + (max - centre) / 2), "=": () => keys["+"](),
    "-": () => zoom(Math.max(x[0], centre - (centre - min) * 2), Math.min(x.at(-1), centre + (max - centre) * 2)), 0: whole,
  };
  if (!(event.key in keys) || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  keys[event.key]();
}

function drawHistories() {
  for (const plot of history_.plots) plot.destroy();
  history_.plots = [];
  history_.panels.replaceChildren();
  const panels = panelsOf(control("history-kind").value, control("history-split").value);
  const values = panels.flatMap(({ lines }) => lines.flatMap((line) => [...(line.low ?? line.mean), ...(line.high ?? line.mean)])).filter(Number.isFinite);
  const [low, high] = values.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity]);
  const margin = (high - low) * 0.04 || 0.5;
  const range = control("history-scale").checked && values.length ? [low - margin, high + margin] : null;
  for (const panel of panels.slice(0, MOST_PANELS)) drawPanel(panel, range);
  control("history-note").textContent = !panels.length ? "No configuration is chosen."
    : panels.length > MOST_PANELS ? `The first ${MOST_PANELS} of ${panels.length} panels.` : "";
}

for (const name of ["history-kind", "history-split", "history-scale"]) control(name).addEventListener("change", drawHistories);
control("history-whole").addEventListener("click", whole);
new ResizeObserver(() => {
  for (const plot of history_.plots) plot.setSize({ width: Math.max(220, plot.root.parentElement.clientWidth), height: 210 });
}).observe(history_.panels);
chosen.redraw.push(drawHistories);
themed.push(() => { for (const plot of history_.plots) plot.redraw(false); drawHistories(); });
