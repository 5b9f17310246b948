/** Quality against cost: a point for each configuration; choosing one shows it everywhere. */
const chart = document.getElementById("cost-chart");
const PLOT = { left: 52, right: 16, top: 12, bottom: 40, height: 340 };

/** Numbers in print between low and high; over more than a decade 1, 2 and 5 of every power of ten. */
function ticks(low, high) {
  if (low > 0 && high / low > 10) {
    const powers = Array.from({ length: 40 }, (_, index) => 10 ** (index - 12));
    return powers.flatMap((power) => [1, 2, 5].map((factor) => factor * power)).filter((value) => value >= low && value <= high);
  }
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, index) => (first + index) * step);
}

const short = (value) => value >= 1e6 ? `${digits(value / 1e6, 3)} M` : value >= 1e4 ? `${digits(value / 1e3, 3)} k` : digits(value, 3);

/** Points that no other beats in both: dearer only if better. */
function front(points) {
  let high = -Infinity;
  return [...points].sort((a, b) => a.cost - b.cost || b.quality - a.quality).filter(({ quality }) => quality > high && ((high = quality), true));
}

function drawCosts() {
  const kind = control("cost-kind").value;
  const points = current().configurations.flatMap((row, index) => {
    const quality = mean(row.quality);
    return row[kind] && Number.isFinite(quality) ? [{ index, row, cost: row[kind], quality, values: row.quality }] : [];
  });
  const title = kind === "seconds" ? "Time of a training (s)" : "Parameters of the network";
  control("cost-note").textContent = points.length ? "" : "Nothing is known of this cost.";
  if (!points.length) return chart.replaceChildren();
  const width = Math.max(300, chart.parentElement.clientWidth);
  chart.setAttribute("viewBox", `0 0 ${width} ${PLOT.height}`);
  const [cheap, dear] = [Math.min(...points.map((p) => p.cost)) / 1.15, Math.max(...points.map((p) => p.cost)) * 1.15];
  const all = points.flatMap((p) => p.values);
  const [low, high] = [all.reduce((a, b) => Math.min(a, b)), all.reduce((a, b) => Math.max(a, b))];
  const margin = (high - low) * 0.06 || 1;
  const x = (value) => PLOT.left + (Math.log(value / cheap) / Math.log(dear / cheap)) * (width - PLOT.left - PLOT.right);
  const y = (value) => PLOT.height - PLOT.bottom - ((value - low + margin) / (high - low + 2 * margin)) * (PLOT.height - PLOT.top - PLOT.bottom);
  const grid = [
    ...ticks(cheap, dear).flatMap((value) => [
      make("line", { x1: x(value), x2: x(value), y1: PLOT.top, y2: PLOT.height - PLOT.bottom, class: "grid" }),
      make("text", { x: x(value), y: PLOT.height - PLOT.bottom + 16, "text-anchor": "middle" }, short(value))]),
    ...ticks(low - margin, high + margin).flatMap((value) => [
      make("line", { x1: PLOT.left, x2: width - PLOT.right, y1: y(value), y2: y(value), class: "grid" }),
      make("text", { x: PLOT.left - 6, y: y(value) + 4, "text-anchor": "end" }, digits(value))]),
    make("text", { x: width - PLOT.right, y: PLOT.height - 6, "text-anchor": "end" }, `${title}, logarithmic`),
    make("text", { x: PLOT.left + 6, y: PLOT.top + 10 }, `${current().headline} (%)`),
  ];
  const line = front(points).map((p, place) => `${place ? "L" : "M"}${x(p.cost)} ${y(p.quality)}`).join("");
  const picked = (p) => chosen.rows.includes(p.index);
  const order = [...points].sort((a, b) => picked(a) - picked(b));
  chart.replaceChildren(...grid, make("path", { d: line, class: "front" }), ...order.map((p) => drawPoint(p, x, y, width)));
}

function drawPoint({ index, row, cost, quality, values }, x, y, width) {
  const picked = chosen.rows.includes(index);
  const said = `${row.name}${row.baseline ? " (baseline)" : ""}: ${quality.toFixed(2)} %, ${short(cost)}`;
  const bar = make("line", { x1: x(cost), x2: x(cost), y1: y(Math.min(...values)), y2: y(Math.max(...values)), class: "bar" });
  const dot = make("circle", { cx: x(cost), cy: y(quality), r: picked ? 6 : 4 });
  const right = x(cost) > width * 0.6;
  const parts = [make("title", {}, said), bar, dot];
  if (picked) parts.push(make("text", { x: x(cost) + (right ? -9 : 9), y: y(quality) + 4, "text-anchor": right ? "end" : "start" }, row.name));
  const group = make("g", { class: picked ? "point picked" : "point", tabindex: 0, role: "checkbox", "aria-checked": String(picked), "aria-label": said,
    onclick: () => again(index), onkeydown: (event) => { if ([" ", "Enter"].includes(event.key)) { event.preventDefault(); again(index); } } }, ...parts);
  if (picked) group.style.color = shade(colourOf(index));
  group.dataset.point = index;
  return group;
}

/** Choosing draws all points anew: the one that was in focus is again. */
function again(index) {
  toggle(index);
  chart.querySelector(`[data-point="${index}"]`)?.focus();
}

control("cost-kind").addEventListener("change", drawCosts);
new ResizeObserver(drawCosts).observe(chart.parentElement);
chosen.redraw.push(drawCosts);
themed.push(drawCosts);
choose(chosen.dataset);
