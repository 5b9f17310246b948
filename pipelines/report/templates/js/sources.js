/** Where a number comes from: pointing at it, or reaching it with the keys, shows its trials and the command. */
const note = document.getElementById("source");
const quoted = (text) => /^[\w.@%+=:,/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
const command = (...words) => make("code", { class: "command" }, `python -m ${words.map(quoted).join(" ")}`);

/** What a number says of itself, its row, its column and its table: data set, protocol, metric, row or trial. */
function placed(number) {
  const row = number.closest("tr");
  const head = number.cellIndex === undefined ? null : number.closest("table").tHead?.rows[0].cells[number.cellIndex];
  const given = [number.closest("table"), row, head, number].map((element) => ({ ...element?.dataset }));
  return Object.assign({}, ...given);
}

function listed(place, index, signs = 2) {
  const { name, trials } = page.datasets[place.dataset].configurations[index];
  const scores = page.scores[place.dataset][place.protocol]?.[place.metric]?.[index] ?? [];
  const entry = ([identifier, seed, fold], number) => make("li", {},
    make("code", {}, identifier), ` seed ${seed}${fold ? `, ${fold}` : ""}: ${scores[number]?.toFixed(signs) ?? "n/a"}`);
  const shown = trials.slice(0, 12).map(entry);
  if (trials.length > 12) shown.push(make("li", {}, `and ${trials.length - 12} more`));
  return [
    make("p", {}, make("strong", {}, name)), make("ul", {}, ...shown),
    command("pipelines.provenance", "--study", page.study, "--cell", name, "--dataset", place.dataset,
      "--protocol", place.protocol, "--metric", place.metric),
  ];
}

function explain(number) {
  const place = placed(number);
  if (place.trial) {
    return [
      make("p", {}, "Trial ", make("code", {}, place.trial), ", its record and the way to train it again:"),
      command("pipelines.provenance", "--study", page.study, place.trial),
      command("pipelines.verify", "--study", page.study, place.trial),
    ];
  }
  if (!(place.dataset in page.datasets) || place.row === undefined || !place.metric) return null;
  const rows = page.datasets[place.dataset].configurations;
  const index = Number(place.row);
  const parts = [make("p", { class: "quiet" }, `${place.metric}, protocol ${place.protocol}, ${place.dataset}`)];
  parts.push(...listed(place, index));
  if ("compared" in place) parts.push(make("p", { class: "quiet" }, "less"), ...listed(place, rows.findIndex((row) => row.baseline)));
  return parts;
}

let pinned = false;
let shown = null;
function show(number, pin) {
  const parts = explain(number);
  if (!parts) return;
  pinned = pin;
  shown = number;
  note.replaceChildren(...parts);
  note.hidden = false;
  note.classList.toggle("pinned", pin);
  move();
}
function move() {
  const { left, bottom, top } = shown.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = note;
  note.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
  note.style.top = `${bottom + height + 12 < innerHeight ? bottom + 6 : Math.max(8, top - height - 6)}px`;
}
function hide() {
  pinned = false;
  note.hidden = true;
}

const numbers = ".number, [data-metric][data-row]";
document.addEventListener("mouseover", (event) => {
  const number = event.target.closest?.(numbers);
  if (pinned || event.target.closest?.("#source")) return;
  if (number?.closest("tbody, .card, svg")) show(number, false);
  else hide();
});
document.addEventListener("focusin", (event) => {
  if (event.target.closest("#source")) return;
  if (event.target.matches(numbers)) show(event.target, false);
  else hide();
});
document.addEventListener("click", (event) => {
  const number = event.target.closest(numbers);
  if (event.target.closest("#source")) return;
  if (number?.closest("tbody, .card")) show(number, true);
  else hide();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") hide();
  if (event.key === "Enter" && event.target.matches("td, p")) show(event.target, true);
});
document.addEventListener("scroll", () => {
  if (note.hidden) return;
  if (pinned || document.activeElement === shown) move(); // the browser scrolls to what is in focus, slowly
  else hide();
}, { passive: true });
