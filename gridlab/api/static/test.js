// The test page: one button for each endpoint, the answer shown as it came.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const value = (id) => byId(id).value.trim();
  const portuguese = navigator.language.toLowerCase().startsWith("pt");

  if (portuguese) {
    document.documentElement.lang = "pt";
    for (const element of document.querySelectorAll("[data-pt]")) {
      element.textContent = element.dataset.pt;
    }
  }

  function pretty(text) {
    try {
      return JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      return text;
    }
  }

  async function call(method, path, body) {
    byId("asked").textContent = method + " /" + path;
    byId("code").textContent = "…";
    byId("code").className = "";
    byId("took").textContent = "";
    const options = { method, headers: {} };
    if (body !== undefined) {
      options.headers["Content-Type"] = "application/json";
      options.body = body;
    }
    const begun = performance.now();
    try {
      const reply = await window.gridlab.fetch(path, options);
      const text = await reply.text();
      byId("took").textContent = (performance.now() - begun).toFixed(1) + " ms";
      byId("code").textContent = String(reply.status);
      byId("code").className = reply.ok ? "ok" : "bad";
      byId("answer").textContent = pretty(text);
    } catch {
      byId("code").textContent = portuguese ? "sem resposta da API" : "the API does not answer";
      byId("code").className = "bad";
      byId("answer").textContent = "";
    }
  }

  function filled(path) {
    return path.replace(/\{(\w+)\}/g, (_, id) => encodeURIComponent(value(id)));
  }

  function gridBody() {
    return JSON.stringify({
      symbol: value("symbol"),
      config: {
        initial_levels: Number(value("levels")),
        spacing_perc: Number(value("spacing")),
        market_type: value("market"),
      },
    });
  }

  for (const button of document.querySelectorAll("[data-path]")) {
    button.addEventListener("click", () => call("GET", filled(button.dataset.path)));
  }
  byId("validate").addEventListener("click", () => call("POST", "api/grid/config", gridBody()));
  byId("start").addEventListener("click", () => call("POST", "api/grid/start", gridBody()));
  byId("stop").addEventListener("click", () => {
    const question = (portuguese ? "Parar o grid em " : "Stop the grid on ") + value("symbol") + "?";
    if (!window.confirm(question)) return;
    const body = JSON.stringify({ symbol: value("symbol"), policy: value("policy") });
    call("POST", "api/grid/stop", body);
  });
  byId("mode-button").addEventListener("click", () => {
    call("POST", "api/operation_mode", JSON.stringify({ mode: byId("mode").textContent }));
  });
  byId("send").addEventListener("click", () => call("POST", value("free-path"), byId("body").value));

  window.gridlab.fetch("api/operation_mode")
    .then((reply) => reply.json())
    .then((modes) => { byId("mode").textContent = modes.current_mode; })
    .catch(() => { byId("mode").textContent = "?"; });
  call("GET", "api/status");
})();
