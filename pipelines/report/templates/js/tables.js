/** Tables that are sorted by their heads, filtered by words, and walked with the arrow keys. */
const FEW = 5;

function sortable(table) {
  const body = table.tBodies[0];
  const key = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
  const compare = (a, b) => {
    const [x, y] = [Number(a), Number(b)];
    if (Number.isNaN(x) && Number.isNaN(y)) return a.localeCompare(b);
    if (Number.isNaN(x)) return 1;
    if (Number.isNaN(y)) return -1;
    return x - y;
  };
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = make("button", { type: "button" }, head.textContent.trim());
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const descending = head.classList.contains("number") ? head.ariaSort !== "descending" : head.ariaSort === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const rows = [...body.rows].sort((a, b) => compare(key(a, column), key(b, column)) * (descending ? -1 : 1));
      body.append(...rows);
      table.classList.add("sorted");
    });
  });
}

/** Whether a row has all the words, and none that is written with a minus. */
function matches(text, words) {
  return words.every((word) => word.length > 1 && word[0] === "-" ? !text.includes(word.slice(1)) : text.includes(word));
}

function filterable(table) {
  const rows = [...table.tBodies[0].rows];
  if (rows.length < FEW) return;
  const texts = new Map(rows.map((row) => [row, row.textContent.replace(/\s+/g, " ").toLowerCase()]));
  const count = make("output", { class: "quiet" });
  const input = make("input", {
    type: "search",
    placeholder: "Filter rows: words, -without",
    "aria-label": `Filter the rows of ${table.closest("[aria-label], [aria-labelledby]")?.getAttribute("aria-label") ?? "this table"}`,
    oninput: () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        row.hidden = !matches(texts.get(row), words);
        shown += !row.hidden;
      }
      table.classList.toggle("filtered", words.length > 0);
      count.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
    },
    onkeydown: (event) => {
      if (event.key !== "Escape") return;
      input.value = "";
      input.dispatchEvent(new Event("input"));
    },
  });
  table.parentElement.before(make("div", { class: "filter" }, input, count));
}

/** One cell of a table can be reached with Tab, the others from there with the arrow keys. */
function walkable(table) {
  const first = table.querySelector("tbody .number");
  if (!first) return;
  first.tabIndex = 0;
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  table.addEventListener("keydown", (event) => {
    const cell = event.target.closest("td");
    if (!cell || !(event.key in steps)) return;
    const rows = [...table.tBodies[0].rows].filter((row) => !row.hidden);
    const [down, right] = steps[event.key];
    const target = rows[rows.indexOf(cell.parentElement) + down]?.cells[cell.cellIndex + right];
    if (!target?.classList.contains("number")) return;
    event.preventDefault();
    cell.tabIndex = -1;
    target.tabIndex = 0;
    target.focus();
  });
}

for (const table of document.querySelectorAll("table.sortable")) {
  sortable(table);
  filterable(table);
  walkable(table);
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.matches("input, select, textarea")) return;
  const inputs = [...document.querySelectorAll(".filter input")].filter((input) => input.offsetParent);
  const next = inputs.find((input) => input.getBoundingClientRect().bottom > 60) ?? inputs[0];
  if (!next) return;
  event.preventDefault();
  next.focus();
});
