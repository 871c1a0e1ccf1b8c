// Keeps the start page true: asks the API every two seconds and says so when it stops answering.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const portuguese = document.documentElement.lang === "pt";
  const states = JSON.parse(document.querySelector("main").dataset.states);
  const stated = (name) => states[name] || name;
  const amount = (value) => (value > 0 ? "+" : "") + value.toFixed(4);

  function cell(row, text, kind) {
    const made = row.insertCell();
    made.textContent = text;
    if (kind) made.className = kind;
    return made;
  }

  function botRow(body, bot) {
    const row = body.insertRow();
    const link = document.createElement("a");
    link.href = "api/grid/status/" + encodeURIComponent(bot.symbol);
    link.textContent = bot.symbol;
    cell(row, "").append(link);
    const state = document.createElement("span");
    state.className = "state state-" + bot.phase;
    state.textContent = stated(bot.phase);
    cell(row, "").append(state);
    for (const value of [bot.current_price, bot.grid_levels, bot.active_orders, bot.total_trades]) {
      cell(row, String(value), "number");
    }
    for (const value of [bot.grid_profit, bot.floating_pnl, bot.fees, bot.total_pnl]) {
      cell(row, amount(value), "number " + (value > 0 ? "gain" : value < 0 ? "loss" : ""));
    }
    cell(row, bot.uptime, "number");
  }

  function show(status, trading) {
    byId("mode").textContent = status.mode;
    byId("state").textContent = stated(status.engine_state);
    byId("state").className = "state state-" + status.engine_state;
    byId("reason").textContent = status.reason;
    byId("reason").hidden = !status.reason;
    byId("as-of").textContent = status.as_of;
    byId("speed").textContent = status.replay_speed ? status.replay_speed + "×" : "max";
    const played = status.replay_progress;
    byId("progress-text").textContent = played === null ? "–" : (100 * played).toFixed(1) + " %";
    byId("progress").value = played === null ? 0 : played;
    byId("age").textContent = (portuguese ? "idade " : "age ") + (status.age_ms / 1000).toFixed(1) + " s";
    byId("age").classList.toggle("stale", status.stale);
    if (trading.executions.length) {
      const body = document.createElement("tbody");
      body.id = "bots";
      for (const bot of trading.executions) botRow(body, bot);
      byId("bots").replaceWith(body);
    }
  }

  async function ask(path) {
    const reply = await window.gridlab.fetch(path);
    if (!reply.ok) throw new Error(String(reply.status));
    return reply.json();
  }

  async function refresh() {
    try {
      show(...(await Promise.all([ask("api/status"), ask("api/trading/executions")])));
    } catch {
      byId("age").textContent = portuguese ? "sem resposta da API" : "the API does not answer";
      byId("age").classList.add("stale");
    }
    setTimeout(refresh, document.hidden ? 10000 : 2000);
  }

  refresh();
})();
