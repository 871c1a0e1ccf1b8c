// Candles, grid lines, fills and profit on one canvas, fed bar by bar.
//
// Mounts on any model with get(name), on("msg:custom", f), off(...), send(content): a notebook's
// widget model, or a page's shim over server-sent events. Draws only what it is handed; it knows no
// engine, loads nothing, and stores nothing. Times are UTC milliseconds, prices plain numbers.

const COLOR = {
  back: "#131722", pane: "#0f131c", line: "#1f2635", axis: "#2a3245", text: "#c9d1e0", dim: "#8691a8",
  up: "#26a69a", down: "#ef5350", upSoft: "rgba(38,166,154,.55)", downSoft: "rgba(239,83,80,.55)",
  empty: "#5d6880", preview: "#e8b339", cross: "#70809c", last: "#4c8dff",
};
const FONT = '11px ui-sans-serif, system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
const MINUTE = 60000, DAY = 86400000;
const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 10080, 43200];
const AXIS_WIDTH = 82, TIME_HEIGHT = 22, RIGHT_MARGIN_BARS = 11, PING_MS = 4000, SILENT_MS = 6000;
const MAX_BARS = 3000, MIN_VISIBLE = 15;
const INTERVALS = ["1m", "5m", "15m", "1h"];

const STYLE = `
.glc{position:relative;display:flex;flex-direction:column;width:100%;height:100%;min-height:260px;
 background:${COLOR.back};border:1px solid ${COLOR.line};border-radius:6px;overflow:hidden;
 font:12px ui-sans-serif,system-ui,"Segoe UI",Roboto,Arial,sans-serif;color:${COLOR.text};box-sizing:border-box}
.glc *{box-sizing:border-box}
.glc-bar{display:flex;align-items:center;gap:4px;height:34px;padding:0 8px;border-bottom:1px solid ${COLOR.line};
 flex:none;overflow:hidden;white-space:nowrap}
.glc-name{font-weight:600;font-size:13px;margin-right:8px;letter-spacing:.2px}
.glc-tag{color:${COLOR.dim};font-size:11px;margin-left:auto;overflow:hidden;text-overflow:ellipsis}
.glc-bar button{background:transparent;color:${COLOR.dim};border:0;border-radius:4px;padding:3px 7px;font:inherit;
 cursor:pointer;line-height:16px}
.glc-bar button:hover{background:#1e2536;color:${COLOR.text}}
.glc-bar button:focus-visible,.glc canvas:focus-visible{outline:1px solid ${COLOR.last};outline-offset:-1px}
.glc-bar button[aria-pressed=true]{background:#22304d;color:#a9c7ff}
.glc-gap{width:1px;height:16px;background:${COLOR.axis};margin:0 5px;flex:none}
.glc-box{position:relative;flex:1 1 auto;min-height:0}
.glc-box canvas{position:absolute;inset:0;width:100%;height:100%;display:block;cursor:crosshair;touch-action:none}
.glc-read{position:absolute;left:10px;top:7px;pointer-events:none;font-variant-numeric:tabular-nums;font-size:11px;
 line-height:16px;color:${COLOR.dim};text-shadow:0 0 3px ${COLOR.back},0 0 3px ${COLOR.back};z-index:1}
.glc-read b{font-weight:500;color:${COLOR.text};margin-right:7px}
.glc-note{position:absolute;left:50%;top:42%;transform:translate(-50%,-50%);padding:8px 14px;border-radius:6px;
 background:rgba(52,20,24,.94);border:1px solid #8a3238;color:#ffc9c9;display:none;z-index:2;font-size:12px;
 text-align:center;max-width:80%}
.glc-note.on{display:block}
.glc.stale canvas{filter:grayscale(.85) brightness(.7)}
`;

// ---------------------------------------------------------------------------------------- numbers

function decimalsOf(value) {
  const text = String(value);
  if (text.includes("e-")) return Math.min(8, Number(text.split("e-")[1]) + 1);
  const point = text.indexOf(".");
  return point < 0 ? 0 : Math.min(8, text.length - point - 1);
}

function format(value, digits) {
  if (!Number.isFinite(value)) return "–";
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function signed(value, digits) {
  return (value > 0 ? "+" : value < 0 ? "−" : "") + format(Math.abs(value), digits);
}

function compact(value) {
  return value.toLocaleString("en-US", { notation: "compact", maximumFractionDigits: 2 });
}

function niceStep(range, count) {
  const raw = range / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw));
  const unit = raw / power;
  return power * (unit <= 1 ? 1 : unit <= 2 ? 2 : unit <= 2.5 ? 2.5 : unit <= 5 ? 5 : 10);
}

const two = (n) => String(n).padStart(2, "0");
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

function timeLabel(ms, withDay) {
  const d = new Date(ms);
  const clock = `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}`;
  return withDay ? `${d.getUTCDate()} ${MONTHS[d.getUTCMonth()]} ${clock}` : clock;
}

function axisTimeLabel(ms, stepMs) {
  const d = new Date(ms);
  if (ms % DAY === 0 || stepMs >= DAY) return `${d.getUTCDate()} ${MONTHS[d.getUTCMonth()]}`;
  return timeLabel(ms, false);
}

// ------------------------------------------------------------------------------------------ state

// Bars as [open time, open, high, low, close, volume], ascending; profit points as
// [time, total, grid profit]; levels as {price, side, qty, state}; fills as {id, t, side, price, qty}.
class Series {
  constructor() {
    this.clear();
  }

  clear() {
    this.bars = [];
    this.levels = [];
    this.fills = [];
    this.profit = [];
    this.preview = [];
    this.fillIds = new Set();
    this.digits = 2;
  }

  mergeBars(bars) {
    let added = 0;
    for (const bar of bars) {
      const last = this.bars.length ? this.bars[this.bars.length - 1][0] : -1;
      if (bar[0] > last) {
        this.bars.push(bar);
        added += 1;
      } else {
        const at = this.indexAt(bar[0]);
        if (at >= 0 && this.bars[at][0] === bar[0]) this.bars[at] = bar;
      }
      this.digits = Math.max(this.digits, decimalsOf(bar[4]));
    }
    const excess = this.bars.length - MAX_BARS;
    if (excess > 0) this.bars.splice(0, excess);
    return excess > 0 ? added - excess : added;
  }

  mergeFills(fills) {
    for (const fill of fills) {
      if (this.fillIds.has(fill.id)) continue;
      this.fillIds.add(fill.id);
      this.fills.push(fill);
    }
  }

  mergeProfit(points) {
    for (const point of points) {
      const count = this.profit.length;
      if (!count || point[0] > this.profit[count - 1][0]) this.profit.push(point);
      else if (point[0] === this.profit[count - 1][0]) this.profit[count - 1] = point;
    }
    if (this.profit.length > 2 * MAX_BARS) this.profit.splice(0, MAX_BARS);
  }

  // Index of the last bar that opened at or before `ms`; -1 when there is none.
  indexAt(ms) {
    let low = 0, high = this.bars.length - 1, found = -1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      if (this.bars[middle][0] <= ms) {
        found = middle;
        low = middle + 1;
      } else high = middle - 1;
    }
    return found;
  }

  get width() {
    const count = this.bars.length;
    return count > 1 ? this.bars[count - 1][0] - this.bars[count - 2][0] : MINUTE;
  }

  get last() {
    return this.bars.length ? this.bars[this.bars.length - 1] : null;
  }
}

// ----------------------------------------------------------------------------------------- drawing

class Painter {
  constructor(canvas, series, view) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.series = series;
    this.view = view;
    this.width = 0;
    this.height = 0;
  }

  resize(width, height) {
    const ratio = window.devicePixelRatio || 1;
    this.width = width;
    this.height = height;
    this.canvas.width = Math.max(1, Math.round(width * ratio));
    this.canvas.height = Math.max(1, Math.round(height * ratio));
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
  }

  layout() {
    const plotWidth = Math.max(50, this.width - AXIS_WIDTH);
    const body = Math.max(60, this.height - TIME_HEIGHT);
    const profitHeight = this.view.showProfit ? Math.max(54, Math.round(body * 0.22)) : 0;
    this.plotWidth = plotWidth;
    this.mainHeight = body - profitHeight;
    this.profitTop = this.mainHeight;
    this.profitHeight = profitHeight;
    this.barWidth = plotWidth / this.view.count;
    this.first = this.view.end - this.view.count;
    this.scaleMain();
  }

  visible() {
    const from = Math.max(0, Math.floor(this.first));
    const to = Math.min(this.series.bars.length - 1, Math.ceil(this.view.end));
    return [from, to];
  }

  scaleMain() {
    const [from, to] = this.visible();
    let low = Infinity, high = -Infinity;
    for (let i = from; i <= to; i += 1) {
      low = Math.min(low, this.series.bars[i][3]);
      high = Math.max(high, this.series.bars[i][2]);
    }
    if (this.view.fitGrid) {
      for (const level of [...this.series.levels, ...this.series.preview]) {
        low = Math.min(low, level.price);
        high = Math.max(high, level.price);
      }
    }
    if (!Number.isFinite(low)) [low, high] = [0, 1];
    if (high - low < 1e-12) [low, high] = [low * 0.999, high * 1.001 + 1e-9];
    const span = high - low;
    this.low = low - span * 0.05;
    this.high = high + span * 0.09;
  }

  x(index) {
    return (index - this.first + 0.5) * this.barWidth;
  }

  xOfTime(ms) {
    const index = this.series.indexAt(ms);
    if (index < 0) return -1e6;
    const within = (ms - this.series.bars[index][0]) / this.series.width;
    return this.x(index) + (Math.min(1, within) - 0.5) * this.barWidth;
  }

  y(price) {
    return this.mainHeight * (1 - (price - this.low) / (this.high - this.low));
  }

  priceAt(y) {
    return this.low + (1 - y / this.mainHeight) * (this.high - this.low);
  }

  rule(x1, y1, x2, y2, color, dash) {
    const c = this.context;
    c.strokeStyle = color;
    c.lineWidth = 1;
    c.setLineDash(dash || []);
    c.beginPath();
    c.moveTo(Math.round(x1) + 0.5, Math.round(y1) + 0.5);
    c.lineTo(Math.round(x2) + 0.5, Math.round(y2) + 0.5);
    c.stroke();
    c.setLineDash([]);
  }

  text(value, x, y, color, align) {
    const c = this.context;
    c.fillStyle = color;
    c.textAlign = align || "left";
    c.textBaseline = "middle";
    c.fillText(value, x, y);
  }

  tag(y, label, fill, ink) {
    const c = this.context;
    c.fillStyle = fill;
    c.fillRect(this.plotWidth + 1, Math.round(y) - 8, AXIS_WIDTH - 1, 16);
    this.text(label, this.plotWidth + 7, y, ink || "#fff");
  }

  draw() {
    if (this.width < 10 || this.height < 10) return;
    const c = this.context;
    this.layout();
    c.font = FONT;
    c.fillStyle = COLOR.back;
    c.fillRect(0, 0, this.width, this.height);
    this.drawAxes();
    if (!this.series.bars.length) {
      this.text("Waiting for the first candles…", this.plotWidth / 2, this.mainHeight / 2, COLOR.dim, "center");
      return;
    }
    c.save();
    c.beginPath();
    c.rect(0, 0, this.plotWidth, this.mainHeight);
    c.clip();
    this.drawLevels();
    this.drawPreview();
    this.drawCandles();
    this.drawFills();
    c.restore();
    if (this.profitHeight) this.drawProfit();
    this.drawAxisTags();
    this.drawCross();
  }

  drawAxes() {
    for (const y of this.priceTicks()) this.rule(0, y, this.plotWidth, y, COLOR.line);
    this.drawTimes();
    this.rule(this.plotWidth, 0, this.plotWidth, this.height, COLOR.axis);
    this.rule(0, this.height - TIME_HEIGHT, this.width, this.height - TIME_HEIGHT, COLOR.axis);
  }

  priceTicks() {
    const step = niceStep(this.high - this.low, this.mainHeight / 46);
    const ticks = [];
    for (let p = Math.ceil(this.low / step) * step; p < this.high; p += step) {
      const y = this.y(p);
      if (y >= 8 && y <= this.mainHeight - 8) ticks.push(y);
    }
    return ticks;
  }

  drawTimes() {
    const perBar = this.series.width;
    const wanted = (90 / this.barWidth) * perBar;
    const stepMs = (TIME_STEPS.find((m) => m * MINUTE >= wanted) || 43200) * MINUTE;
    const [from, to] = this.visible();
    for (let i = from; i <= to; i += 1) {
      const ms = this.series.bars[i][0];
      if (ms % stepMs) continue;
      const x = this.x(i);
      if (x < 26 || x > this.plotWidth - 26) continue;
      this.rule(x, 0, x, this.height - TIME_HEIGHT, COLOR.line);
      const label = axisTimeLabel(ms, stepMs);
      this.text(label, x, this.height - TIME_HEIGHT / 2, ms % DAY ? COLOR.dim : COLOR.text, "center");
    }
    this.text("UTC", this.width - 8, this.height - TIME_HEIGHT / 2, COLOR.dim, "right");
  }

  levelColor(level, soft) {
    if (level.side === "buy") return soft ? COLOR.upSoft : COLOR.up;
    if (level.side === "sell") return soft ? COLOR.downSoft : COLOR.down;
    return COLOR.empty;
  }

  drawLevels() {
    let previous = Infinity;
    const ordered = [...this.series.levels].sort((a, b) => a.price - b.price);
    for (const level of ordered) {
      const y = this.y(level.price);
      this.rule(0, y, this.plotWidth, y, this.levelColor(level, true), level.side ? [] : [2, 4]);
      if (previous - y < 13 || y < 26) continue;
      previous = y;
      const label = level.side
        ? `${level.side === "buy" ? "Buy" : "Sell"} ${level.qty === undefined ? "" : level.qty}`
        : level.note || "no order";
      this.text(label, this.plotWidth - 6, y - 7, this.levelColor(level), "right");
    }
  }

  drawPreview() {
    for (const level of this.series.preview) {
      const y = this.y(level.price);
      this.rule(0, y, this.plotWidth, y, "rgba(232,179,57,.5)", [6, 4]);
    }
    const count = this.series.preview.length;
    if (!count) return;
    this.text(`Preview · ${count} lines · nothing placed`, this.plotWidth - 6, 14, COLOR.preview, "right");
  }

  drawCandles() {
    const c = this.context;
    const [from, to] = this.visible();
    const body = Math.max(1, Math.floor(this.barWidth * 0.68));
    let mostVolume = 0;
    for (let i = from; i <= to; i += 1) mostVolume = Math.max(mostVolume, this.series.bars[i][5] || 0);
    for (let i = from; i <= to; i += 1) {
      const [, open, high, low, close, volume] = this.series.bars[i];
      const color = close >= open ? COLOR.up : COLOR.down;
      const x = Math.round(this.x(i));
      const left = Math.round(this.x(i) - body / 2);
      if (mostVolume > 0 && volume > 0) {
        const tall = (volume / mostVolume) * this.mainHeight * 0.1;
        c.fillStyle = close >= open ? "rgba(38,166,154,.22)" : "rgba(239,83,80,.22)";
        c.fillRect(left, this.mainHeight - tall, body, tall);
      }
      c.fillStyle = color;
      c.fillRect(x, this.y(high), 1, Math.max(1, this.y(low) - this.y(high)));
      const top = this.y(Math.max(open, close));
      c.fillRect(left, top, body, Math.max(1, this.y(Math.min(open, close)) - top));
    }
  }

  drawFills() {
    const c = this.context;
    for (const fill of this.series.fills) {
      const x = this.xOfTime(fill.t);
      if (x < -10 || x > this.plotWidth + 10) continue;
      const up = fill.side === "buy";
      const y = this.y(fill.price) + (up ? 4 : -4);
      const tall = up ? 8 : -8;
      c.beginPath();
      c.moveTo(x, y);
      c.lineTo(x - 5, y + tall);
      c.lineTo(x + 5, y + tall);
      c.closePath();
      c.fillStyle = up ? "#5be0d1" : "#ff8a87";
      c.fill();
      c.strokeStyle = COLOR.back;
      c.lineWidth = 1;
      c.stroke();
    }
  }

  scaleProfit(points) {
    let low = 0, high = 0;
    for (const point of points) {
      low = Math.min(low, point[1], point[2] ?? 0);
      high = Math.max(high, point[1], point[2] ?? 0);
    }
    const span = Math.max(high - low, 1e-6);
    const top = this.profitTop + 22, tall = this.profitHeight - 30;
    return (value) => top + tall * (1 - (value - low) / span);
  }

  drawProfit() {
    const c = this.context;
    c.fillStyle = COLOR.pane;
    c.fillRect(0, this.profitTop, this.plotWidth, this.profitHeight);
    this.rule(0, this.profitTop, this.width, this.profitTop, COLOR.axis);
    const first = this.series.bars[Math.max(0, Math.floor(this.first))];
    const points = this.series.profit.filter((p) => p[0] >= (first ? first[0] : 0));
    const last = this.series.profit[this.series.profit.length - 1];
    if (!last) {
      this.text("Profit: no bot on this symbol", 10, this.profitTop + 13, COLOR.dim);
      return;
    }
    const y = this.scaleProfit(points.length ? points : [last]);
    this.rule(0, y(0), this.plotWidth, y(0), COLOR.axis, [2, 3]);
    c.save();
    c.beginPath();
    c.rect(0, this.profitTop, this.plotWidth, this.profitHeight);
    c.clip();
    this.profitLine(points, 2, y, COLOR.last, null);
    this.profitLine(points, 1, y, last[1] >= 0 ? COLOR.up : COLOR.down, y(0));
    c.restore();
    const quote = this.view.quote || "";
    let at = 10;
    for (const [label, color] of [
      ["Total ", COLOR.dim], [`${signed(last[1], 2)} ${quote}   `, last[1] >= 0 ? COLOR.up : COLOR.down],
      ["Grid profit ", COLOR.dim], [last[2] === null ? "–" : `${signed(last[2], 2)} ${quote}`, COLOR.last],
    ]) {
      this.text(label, at, this.profitTop + 13, color);
      at += c.measureText(label).width;
    }
    if (Math.abs(y(0) - y(last[1])) > 14) this.text("0", this.plotWidth + 7, y(0), COLOR.dim);
    this.tag(y(last[1]), signed(last[1], 2), last[1] >= 0 ? COLOR.up : COLOR.down);
  }

  // A null is a time that nobody recorded: no line there, rather than a guess.
  profitLine(all, column, y, color, base) {
    const points = all.filter((point) => point[column] !== null);
    if (!points.length) return;
    const c = this.context;
    c.beginPath();
    let firstX = 0, lastX = 0;
    points.forEach((point, i) => {
      const x = this.xOfTime(point[0]);
      if (i) c.lineTo(x, y(point[column]));
      else {
        firstX = x;
        c.moveTo(x, y(point[column]));
      }
      lastX = x;
    });
    c.strokeStyle = color;
    c.lineWidth = 1.5;
    c.stroke();
    if (base === null) return;
    c.lineTo(lastX, base);
    c.lineTo(firstX, base);
    c.closePath();
    c.globalAlpha = 0.14;
    c.fillStyle = color;
    c.fill();
    c.globalAlpha = 1;
  }

  drawAxisTags() {
    const lastBar = this.series.last;
    const lastY = this.y(lastBar[4]);
    const taken = [lastY];
    const ordered = [...this.series.levels, ...this.series.preview.map((p) => ({ ...p, preview: true }))];
    ordered.sort((a, b) => Math.abs(a.price - lastBar[4]) - Math.abs(b.price - lastBar[4]));
    for (const level of ordered) {
      const y = this.y(level.price);
      if (y < 8 || y > this.mainHeight - 8 || taken.some((t) => Math.abs(t - y) < 17)) continue;
      taken.push(y);
      const color = level.preview ? COLOR.preview : this.levelColor(level);
      this.tag(y, format(level.price, this.series.digits), "#1b2131", color);
    }
    for (const y of this.priceTicks()) {
      if (taken.some((t) => Math.abs(t - y) < 16)) continue;
      this.text(format(this.priceAt(y), this.series.digits), this.plotWidth + 7, y, COLOR.dim);
    }
    const color = lastBar[4] >= lastBar[1] ? COLOR.up : COLOR.down;
    if (lastY > 0 && lastY < this.mainHeight) {
      this.rule(0, lastY, this.plotWidth, lastY, color, [1, 3]);
      this.tag(lastY, format(lastBar[4], this.series.digits), color);
    }
  }

  drawCross() {
    const hover = this.view.hover;
    if (!hover || hover.x > this.plotWidth || hover.y > this.height - TIME_HEIGHT) return;
    const index = Math.round(hover.x / this.barWidth + this.first - 0.5);
    const x = this.x(index);
    this.rule(x, 0, x, this.height - TIME_HEIGHT, COLOR.cross, [4, 4]);
    this.rule(0, hover.y, this.plotWidth, hover.y, COLOR.cross, [4, 4]);
    if (hover.y < this.mainHeight) {
      this.tag(hover.y, format(this.priceAt(hover.y), this.series.digits), "#39445e");
    }
    const bar = this.series.bars[index];
    if (!bar) return;
    const label = timeLabel(bar[0], true);
    const half = this.context.measureText(label).width / 2 + 7;
    const at = Math.min(Math.max(x, half), this.plotWidth - half);
    this.context.fillStyle = "#39445e";
    this.context.fillRect(at - half, this.height - TIME_HEIGHT + 2, 2 * half, TIME_HEIGHT - 4);
    this.text(label, at, this.height - TIME_HEIGHT / 2, "#fff", "center");
  }
}

// ------------------------------------------------------------------------------------------- chart

class Chart {
  constructor(model, element) {
    this.model = model;
    this.series = new Series();
    this.view = { count: 120, end: 0, follow: true, fitGrid: true, showProfit: true, hover: null, quote: "" };
    this.lastHeard = performance.now();
    this.fromKernel = false;
    this.age = null;
    this.stale = false;
    this.build(element);
    this.painter = new Painter(this.canvas, this.series, this.view);
    this.listen();
    this.load({
      bars: model.get("history") || [], levels: model.get("levels") || [],
      fills: model.get("fills") || [], profit: model.get("profit") || [], ...(model.get("options") || {}),
    });
    this.say({ type: "hello" });
  }

  build(element) {
    const make = (name, tag, parent) => {
      const node = document.createElement(tag);
      node.className = name;
      parent.appendChild(node);
      return node;
    };
    const style = document.createElement("style");
    style.textContent = STYLE;
    element.appendChild(style);
    this.root = make("glc", "div", element);
    this.bar = make("glc-bar", "div", this.root);
    this.name = make("glc-name", "span", this.bar);
    this.buttons = {};
    for (const interval of INTERVALS) {
      this.button(interval, interval, `Show ${interval} candles`, () => this.say({ type: "interval", interval }));
    }
    make("glc-gap", "span", this.bar);
    this.button("fit", "Grid", "Keep every grid line in view", () => this.toggle("fitGrid", "fit"));
    this.button("profit", "Profit", "Show the profit pane", () => this.toggle("showProfit", "profit"));
    this.button("live", "Live ▸", "Follow the newest candle; double-click does the same", () => this.home());
    this.tag = make("glc-tag", "span", this.bar);
    this.box = make("glc-box", "div", this.root);
    this.canvas = make("", "canvas", this.box);
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    this.readout = make("glc-read", "div", this.box);
    this.note = make("glc-note", "div", this.box);
    this.press();
  }

  button(key, label, title, act) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.title = title;
    button.addEventListener("click", act);
    this.bar.appendChild(button);
    this.buttons[key] = button;
  }

  press() {
    for (const interval of INTERVALS) {
      this.buttons[interval].setAttribute("aria-pressed", String(interval === this.interval));
    }
    this.buttons.fit.setAttribute("aria-pressed", String(this.view.fitGrid));
    this.buttons.profit.setAttribute("aria-pressed", String(this.view.showProfit));
    this.buttons.live.setAttribute("aria-pressed", String(this.view.follow));
  }

  toggle(field) {
    this.view[field] = !this.view[field];
    this.press();
    this.queue();
  }

  home() {
    this.view.follow = true;
    this.view.count = Math.min(120, Math.max(MIN_VISIBLE, this.series.bars.length + RIGHT_MARGIN_BARS));
    this.follow();
    this.press();
    this.queue();
  }

  follow() {
    if (this.view.follow) this.view.end = this.series.bars.length + RIGHT_MARGIN_BARS;
  }

  say(content) {
    try {
      this.model.send(content);
    } catch (error) {
      // The kernel is gone; the silence timer tells the viewer.
      this.lastError = error;
    }
  }

  listen() {
    this.onMessage = (message) => this.receive(message);
    this.model.on("msg:custom", this.onMessage);
    this.observer = new ResizeObserver(() => {
      const box = this.box.getBoundingClientRect();
      this.painter.resize(box.width, box.height);
      this.queue();
    });
    this.observer.observe(this.box);
    this.pinger = setInterval(() => {
      if (!document.hidden) this.say({ type: "ping" });
    }, PING_MS);
    this.watcher = setInterval(() => this.watch(), 1000);
    this.onShow = () => {
      if (!document.hidden) this.say({ type: "ping" });
    };
    document.addEventListener("visibilitychange", this.onShow);
    this.listenPointer();
  }

  listenPointer() {
    const at = (event) => {
      const box = this.canvas.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    };
    let drag = null;
    this.canvas.addEventListener("pointerdown", (event) => {
      drag = { x: event.clientX, end: this.view.end };
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      this.view.hover = at(event);
      if (drag) this.pan(drag.end - (event.clientX - drag.x) / this.painter.barWidth);
      this.queue();
    });
    const drop = () => { drag = null; };
    this.canvas.addEventListener("pointerup", drop);
    this.canvas.addEventListener("pointercancel", drop);
    this.canvas.addEventListener("pointerleave", () => {
      this.view.hover = null;
      this.queue();
    });
    this.canvas.addEventListener("dblclick", () => this.home());
    this.canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        this.pan(this.view.end + event.deltaX / this.painter.barWidth);
      } else this.zoom(event.deltaY > 0 ? 1.12 : 1 / 1.12, at(event).x);
    }, { passive: false });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    const acts = {
      ArrowLeft: () => this.pan(this.view.end - 5), ArrowRight: () => this.pan(this.view.end + 5),
      "+": () => this.zoom(1 / 1.25, this.painter.plotWidth), "=": () => this.zoom(1 / 1.25, this.painter.plotWidth),
      "-": () => this.zoom(1.25, this.painter.plotWidth), Home: () => this.home(),
    };
    if (!acts[event.key]) return;
    acts[event.key]();
    event.preventDefault();
    event.stopPropagation();
  }

  pan(end) {
    const newest = this.series.bars.length + RIGHT_MARGIN_BARS;
    this.view.end = Math.min(newest, Math.max(MIN_VISIBLE, end));
    this.view.follow = this.view.end >= newest - 0.5;
    this.press();
    this.queue();
  }

  zoom(factor, x) {
    const limit = Math.max(MIN_VISIBLE, this.series.bars.length + RIGHT_MARGIN_BARS);
    const count = Math.min(limit, Math.max(MIN_VISIBLE, this.view.count * factor));
    const share = this.view.follow ? 1 : Math.min(1, x / this.painter.plotWidth);
    const anchor = this.view.end - this.view.count * (1 - share);
    this.view.count = count;
    this.pan(anchor + count * (1 - share));
  }

  receive(message) {
    this.lastHeard = performance.now();
    this.fromKernel = true;
    if (message.type === "reset") this.load(message);
    else if (message.type === "update") this.update(message);
    else if (message.type === "preview") this.series.preview = message.lines || [];
    this.queue();
  }

  load(state) {
    this.series.clear();
    this.series.mergeBars(state.bars || []);
    this.series.levels = state.levels || [];
    this.series.preview = state.preview || [];
    this.series.mergeFills(state.fills || []);
    this.series.mergeProfit(state.profit || []);
    if (state.digits !== undefined && state.digits !== null) this.series.digits = state.digits;
    this.interval = state.interval || this.interval;
    this.view.quote = state.quote || this.view.quote;
    this.name.textContent = state.symbol || "";
    this.view.count = Math.min(120, Math.max(MIN_VISIBLE, this.series.bars.length + RIGHT_MARGIN_BARS));
    this.view.follow = true;
    this.status(state);
    this.follow();
    this.press();
    this.queue();
  }

  update(message) {
    const added = this.series.mergeBars(message.bars || []);
    if (message.levels) this.series.levels = message.levels;
    if (message.fills) this.series.mergeFills(message.fills);
    if (message.profit) this.series.mergeProfit(message.profit);
    if (!this.view.follow && added < 0) this.view.end += added;
    this.status(message);
    this.follow();
  }

  status(state) {
    if (state.stale !== undefined) this.stale = Boolean(state.stale);
    if (state.tag !== undefined) this.tagText = state.tag;
    this.tag.textContent = this.tagText || "";
    this.tag.title = this.tagText || "";
    this.root.classList.toggle("stale", this.stale);
    this.note.classList.toggle("on", Boolean(this.stale && state.note));
    this.note.textContent = state.note || "";
  }

  // Nothing heard from the kernel: say so, and grey the panel around us, whose numbers cannot move either.
  watch() {
    const silent = performance.now() - this.lastHeard;
    const dead = this.fromKernel && silent > SILENT_MS;
    const panel = this.root.closest(".gl-panel");
    if (panel) panel.classList.toggle("gl-dead", dead);
    if (dead) {
      this.root.classList.add("stale");
      this.note.classList.add("on");
      this.note.textContent = `No word from the notebook kernel for ${Math.round(silent / 1000)} s; what you see is old.`;
    } else if (this.wasDead) {
      this.root.classList.toggle("stale", this.stale);
      this.note.classList.remove("on");
    }
    this.wasDead = dead;
  }

  queue() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      this.painter.draw();
      this.read();
    });
  }

  read() {
    const bars = this.series.bars;
    if (!bars.length) {
      this.readout.replaceChildren();
      return;
    }
    const hover = this.view.hover;
    let index = bars.length - 1;
    if (hover && hover.x <= this.painter.plotWidth) {
      const at = Math.round(hover.x / this.painter.barWidth + this.painter.first - 0.5);
      if (bars[at]) index = at;
    }
    const [time, open, high, low, close, volume] = bars[index];
    const digits = this.series.digits;
    const change = ((close - open) / open) * 100;
    const parts = [
      [timeLabel(time, true), ""], ["O", format(open, digits)], ["H", format(high, digits)],
      ["L", format(low, digits)], ["C", format(close, digits)], ["", `${signed(change, 2)}%`],
    ];
    if (volume) parts.push(["Vol", compact(volume)]);
    const near = this.nearFill(hover);
    if (near) parts.push([near.side === "buy" ? "Bought" : "Sold", `${near.qty} @ ${format(near.price, digits)}`]);
    this.readout.replaceChildren(...parts.flatMap(([label, value], i) => {
      const tag = document.createElement("span");
      tag.textContent = label + (label ? " " : "");
      const bold = document.createElement("b");
      bold.textContent = value;
      if (i === 5) bold.style.color = change >= 0 ? COLOR.up : COLOR.down;
      return [tag, bold];
    }));
    this.canvas.setAttribute("aria-label",
      `${this.name.textContent} candles, last price ${format(bars[bars.length - 1][4], digits)}, `
      + `${this.series.levels.length} grid lines, ${this.series.fills.length} fills`);
  }

  nearFill(hover) {
    if (!hover) return null;
    return this.series.fills.find((fill) =>
      Math.abs(this.painter.xOfTime(fill.t) - hover.x) < 8 && Math.abs(this.painter.y(fill.price) - hover.y) < 14);
  }

  close() {
    this.model.off("msg:custom", this.onMessage);
    this.observer.disconnect();
    clearInterval(this.pinger);
    clearInterval(this.watcher);
    document.removeEventListener("visibilitychange", this.onShow);
    if (this.pending) cancelAnimationFrame(this.pending);
  }
}

export function render({ model, el }) {
  el.style.height = "100%";
  el.style.width = "100%";
  const chart = new Chart(model, el);
  return () => chart.close();
}

export default { render };
