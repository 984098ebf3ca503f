"use strict";
// What every page is made of: its facts, its elements. Names are put in as text only.

const byId = id => document.getElementById(id);
const facts = JSON.parse(byId("facts").textContent);
const style = getComputedStyle(document.documentElement);
const colour = name => style.getPropertyValue(`--${name}`).trim(); // of those in viewer.css
const listen = (id, kind, answer) => byId(id).addEventListener(kind, answer);

// Both with attributes, {name: value}, and children: elements or text.
const make = (tag, ...more) => filled(document.createElement(tag), ...more);
const drawn = (tag, ...more) => filled(document.createElementNS("http://www.w3.org/2000/svg", tag), ...more);

function filled(element, attributes = {}, ...children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function formatted(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  return Number.isInteger(value) && Math.abs(value) > 1 ? value.toLocaleString("en") : value.toFixed(3);
}

// A number with its noun: 1 pixel, 2,000 pixels.
const counted = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

// Ascending for turn 1, descending for -1; what is missing comes last either way.
function compare(a, b, turn) {
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a === "number" && typeof b === "number") return turn * (a - b);
  return turn * String(a).localeCompare(String(b), "en", { numeric: true });
}
