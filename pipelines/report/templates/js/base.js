"use strict";
/** What all scripts of the page share: the data, making elements, numbers in print, colours, light and dark. */
const page = JSON.parse(document.getElementById("data").textContent);

/** A new element with attributes (`on...` being listeners) and children; text is never read as HTML. */
function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "g", "circle", "line", "path", "text", "title"].includes(tag);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** No number where one of them is none, as in the tables. */
const mean = (values) => values.every(Number.isFinite) ? values.reduce((sum, value) => sum + value, 0) / values.length : NaN;
const digits = (value, count = 4) => Number.isFinite(value) ? String(Number(value.toPrecision(count))) : "n/a";

/** A colour of the style sheet, as it is now, light or dark. */
function style(name) {
  const probe = document.getElementById("theme");
  probe.style.outlineColor = `var(${name})`;
  return getComputedStyle(probe).outlineColor;
}

/** Numbers of `pipelines.pages.inline.packed`: lowest, highest, and 16-bit steps between them. */
function unpack([low, high, text]) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Array.from({ length: bytes.length / 2 }, (_, index) => {
    const step = view.getUint16(2 * index, true);
    return step === 65535 ? null : low + (high - low) * step / 65534;
  });
}

const dark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";

/** A colour of the figures, which are drawn on white: lighter where the page is dark. */
function shade(colour) {
  if (!isDark()) return colour;
  const parts = [1, 3, 5].map((place) => parseInt(colour.slice(place, place + 2), 16));
  const share = parts[0] * 0.3 + parts[1] * 0.59 + parts[2] * 0.11 < 130 ? 0.5 : 0;
  return `rgb(${parts.map((part) => Math.round(part + (255 - part) * share)).join(" ")})`;
}

/** Transparent, for bands. */
const pale = (colour) => shade(colour).startsWith("#") ? `${colour}2b` : shade(colour).replace(")", " / 17%)");

const themed = [];
function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  for (const redraw of themed) redraw();
}
{
  const button = document.getElementById("theme");
  const name = () => { button.textContent = isDark() ? "Light" : "Dark"; };
  button.hidden = false;
  button.addEventListener("click", () => setTheme(isDark() ? "light" : "dark"));
  themed.push(name);
  dark.addEventListener("change", () => { for (const redraw of themed) redraw(); });
  name();
}
