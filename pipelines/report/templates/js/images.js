/** Test images: original, truth and the predictions of the chosen configurations, in an order of the reader's choice. */
const gallery = { cases: document.getElementById("cases"), shown: 0, order: [], sheets: new Map() };
const BATCH = 6;
const CLASS_COLOURS = [[86, 180, 233], [230, 159, 0], [0, 158, 115], [240, 228, 66], [0, 114, 178], [213, 94, 0], [204, 121, 167]];
const VOID = 255;

/** A picture in the page, and for masks its class indices: one number a pixel. */
async function sheet(address, mask) {
  if (!gallery.sheets.has(address)) {
    gallery.sheets.set(address, (async () => {
      const picture = new Image();
      picture.src = address;
      await picture.decode();
      if (!mask) return picture;
      const canvas = make("canvas", { width: picture.naturalWidth, height: picture.naturalHeight });
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(picture, 0, 0);
      const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
      return { width: canvas.width, classes: Uint8Array.from({ length: pixels.length / 4 }, (_, index) => pixels[4 * index]) };
    })());
  }
  return gallery.sheets.get(address);
}

/** Class indices of a tile. */
function tile(images, { width, classes }, number) {
  const { height: high, width: wide, columns } = images;
  const [top, left] = [Math.floor(number / columns) * high, (number % columns) * wide];
  const found = new Uint8Array(high * wide);
  for (let y = 0; y < high; y += 1) found.set(classes.subarray((top + y) * width + left, (top + y) * width + left + wide), y * wide);
  return found;
}

/** Of the pixels that any mask calls foreground, the share on which they do not all say the same. */
function disagreement(masks) {
  let [any, differ] = [0, 0];
  for (let pixel = 0; pixel < (masks[0]?.length ?? 0); pixel += 1) {
    let [found, same] = [false, true];
    for (const mask of masks) {
      found ||= mask[pixel] > 0;
      same &&= mask[pixel] === masks[0][pixel];
    }
    any += found;
    differ += !same;
  }
  return any ? differ / any : 0;
}

const shownRows = () => current().images.rows?.filter((entry) => chosen.rows.includes(entry.row))
  .sort((a, b) => chosen.rows.indexOf(a.row) - chosen.rows.indexOf(b.row)) ?? [];

/** Images in the chosen order, each with its mean score and how much the chosen configurations differ. */
async function ordered(images, rows) {
  const sheets = images.task === "segmentation" ? await Promise.all(rows.map((entry) => sheet(entry.sheet, true))) : [];
  const cases = images.names.map((name, number) => {
    const tested = rows.map((entry, place) => [entry, place]).filter(([entry]) => entry.scores[number] !== null);
    const said = tested.map(([entry]) => entry.labels?.[number]);
    const commonest = Math.max(0, ...said.map((one) => said.filter((other) => other === one).length));
    const differ = images.task === "segmentation" ? disagreement(tested.map(([, place]) => tile(images, sheets[place], number)))
      : tested.length ? 1 - commonest / tested.length : 0;
    return { name, number, differ, score: tested.length ? mean(tested.map(([entry]) => entry.scores[number])) : NaN };
  });
  const last = (value) => Number.isFinite(value) ? value : Infinity;
  const orders = {
    worst: (a, b) => last(a.score) - last(b.score), best: (a, b) => last(-a.score) - last(-b.score),
    disagreement: (a, b) => b.differ - a.differ, name: (a, b) => a.name.localeCompare(b.name, "en", { numeric: true }),
  };
  return cases.sort((a, b) => orders[control("case-order").value](a, b) || a.number - b.number);
}

/** A picture of one tile: the original, tinted by classes and outlined by the truth where those are given. */
function paint(images, original, number, classes, truth) {
  const { width: wide, height: high, columns } = images;
  const factor = Math.max(1, Math.ceil(224 / wide));
  const canvas = make("canvas", { width: wide * factor, height: high * factor, role: "img" });
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(original, (number % columns) * wide, Math.floor(number / columns) * high, wide, high, 0, 0, canvas.width, canvas.height);
  if (classes) {
    const layer = make("canvas", { width: wide, height: high });
    const pixels = new ImageData(wide, high);
    classes.forEach((index, pixel) => {
      if (index) pixels.data.set([...(index === VOID ? [154, 160, 166] : CLASS_COLOURS[(index - 1) % CLASS_COLOURS.length]), 140], 4 * pixel);
    });
    layer.getContext("2d").putImageData(pixels, 0, 0);
    context.drawImage(layer, 0, 0, canvas.width, canvas.height);
  }
  if (truth) outline(context, truth, wide, high, factor);
  return canvas;
}

function outline(context, mask, wide, high, factor) {
  const inside = (x, y) => x >= 0 && y >= 0 && x < wide && y < high && mask[y * wide + x] > 0 && mask[y * wide + x] !== VOID;
  context.beginPath();
  for (let y = 0; y < high; y += 1) {
    for (let x = 0; x < wide; x += 1) {
      if (!inside(x, y)) continue;
      for (const [dx, dy, x0, y0, x1, y1] of [[-1, 0, 0, 0, 0, 1], [1, 0, 1, 0, 1, 1], [0, -1, 0, 0, 1, 0], [0, 1, 0, 1, 1, 1]]) {
        if (inside(x + dx, y + dy)) continue;
        context.moveTo((x + x0) * factor, (y + y0) * factor);
        context.lineTo((x + x1) * factor, (y + y1) * factor);
      }
    }
  }
  context.strokeStyle = "#ffd92f";
  context.lineWidth = Math.max(1, 224 / 160);
  context.stroke();
}

/** The pictures of one test image. */
async function strip(images, rows, entry) {
  const { number, name } = entry;
  const flat = images.task === "classification";
  const original = await sheet(images.original, false);
  const truth = flat ? null : tile(images, await sheet(images.truth, true), number);
  const [fill, line] = [control("case-fill").checked, control("case-line").checked];
  const figure = (canvas, title, text, wrong) => {
    canvas.setAttribute("aria-label", `${name}, ${title}${text ? `: ${text}` : ""}`);
    return make("figure", { class: wrong ? "wrong" : "" }, canvas, make("figcaption", {}, make("strong", {}, title), text ? ` ${text}` : ""));
  };
  const pictures = [figure(paint(images, original, number), "original", flat ? images.classes[images.labels[number]] : "")];
  if (!flat) pictures.push(figure(paint(images, original, number, fill ? truth : null, line ? truth : null), "truth", ""));
  for (const row of rows) {
    const title = current().configurations[row.row].name;
    const score = row.scores[number];
    if (score === null) {
      pictures.push(figure(paint(images, original, number), title, "not a test image"));
    } else if (flat) {
      pictures.push(make("p", { class: score ? "" : "wrong" }, make("strong", {}, title), ` ${images.classes[row.labels[number]]}, ${score ? "right" : "wrong"}`));
    } else {
      const classes = fill ? tile(images, await sheet(row.sheet, true), number) : null;
      pictures.push(figure(paint(images, original, number, classes, line ? truth : null), title, `Dice ${score.toFixed(1)}`));
    }
  }
  return make("div", { class: "strip" }, ...pictures);
}

async function drawCase(images, rows, entry) {
  const flat = images.task === "classification";
  const said = `${flat ? "right" : "mean Dice"} ${digits(entry.score, 3)}${flat ? " %" : ""}, disagreement ${Math.round(100 * entry.differ)} %`;
  return make("article", { class: "case", tabindex: 0, "aria-label": `${entry.name}: ${said}` },
    make("h4", {}, entry.name, make("span", { class: "quiet" }, ` ${said}`)), await strip(images, rows, entry));
}

async function moreCases(count = BATCH) {
  const { images } = current();
  const rows = shownRows();
  const turn = gallery.turn;
  const next = gallery.order.slice(gallery.shown, gallery.shown + count);
  gallery.shown += next.length;
  const drawn = [];
  for (const entry of next) drawn.push(await drawCase(images, rows, entry));
  if (turn !== gallery.turn) return;
  gallery.cases.append(...drawn);
  control("case-more").hidden = gallery.shown >= gallery.order.length;
  control("case-count").textContent = `${gallery.shown} of ${gallery.order.length} images`;
}

async function drawImages() {
  const { images } = current();
  const rows = shownRows();
  const turn = gallery.turn = (gallery.turn ?? 0) + 1;
  const count = Math.max(BATCH, gallery.shown);
  control("case-controls").hidden = "missing" in images;
  const order = "missing" in images ? [] : await ordered(images, rows);
  if (turn !== gallery.turn) return;
  Object.assign(gallery, { order, shown: 0 });
  gallery.cases.replaceChildren();
  const absent = chosen.rows.length - rows.length;
  control("case-note").textContent = [
    images.missing ?? `Each configuration by its trial of the lowest seed. ${images.tested > images.names.length ? `${images.names.length} of ${images.tested} test images, at evenly spaced ranks of difficulty.` : ""}`,
    !images.missing && absent ? `Of ${absent} chosen configurations the page holds no predictions: only of the baseline and the best.` : "",
  ].join(" ");
  if (!images.missing) await moreCases(count);
}

/** The same images with other overlays; whichever is in focus stays so. */
async function repaint() {
  const { images } = current();
  const rows = shownRows();
  for (const [place, article] of [...gallery.cases.children].entries()) {
    const pictures = await strip(images, rows, gallery.order[place]);
    if (article.isConnected) article.lastChild.replaceWith(pictures);
  }
}

control("case-order").addEventListener("change", drawImages);
for (const name of ["case-fill", "case-line"]) control(name).addEventListener("change", repaint);
control("case-more").addEventListener("click", () => moreCases());
control("images-part").addEventListener("keydown", (event) => {
  if (event.target.matches("input[type=search], select") || event.ctrlKey || event.metaKey) return;
  const box = { o: "case-fill", t: "case-line" }[event.key];
  if (box) control(box).click();
  const at = event.target.closest(".case");
  const next = { ArrowDown: at?.nextElementSibling, ArrowUp: at?.previousElementSibling }[event.key];
  if (!next) return;
  event.preventDefault();
  next.focus();
});
chosen.redraw.push(drawImages);
