// Gives the pages one way to ask the API. Where it asks for a token, the reader is asked for it once
// a tab; it is kept in sessionStorage, never in an address, and sent in the Authorization header.
"use strict";
(() => {
  const KEY = "gridlab-token";
  const portuguese = document.documentElement.lang === "pt" ||
    (!document.documentElement.lang && navigator.language.toLowerCase().startsWith("pt"));
  const words = portuguese
    ? { ask: "Esta API pede um token: ele está em api-token.json no diretório de dados.",
        weak: "Este token não permite isto; informe um de escopo maior.",
        use: "Usar" }
    : { ask: "This API asks for a token: it is in api-token.json in the data directory.",
        weak: "This token may not do that; give one with a larger scope.",
        use: "Use it" };

  function prompt(text) {
    if (document.getElementById("token-bar")) return;
    const bar = document.createElement("p");
    bar.id = "token-bar";
    bar.className = "notice fields";
    const label = document.createElement("label");
    label.textContent = text;
    const field = document.createElement("input");
    field.type = "password";
    field.autocomplete = "off";
    field.id = "token";
    label.append(field);
    const button = document.createElement("button");
    button.textContent = words.use;
    const use = () => {
      sessionStorage.setItem(KEY, field.value.trim());
      location.reload();
    };
    button.addEventListener("click", use);
    field.addEventListener("keydown", (event) => { if (event.key === "Enter") use(); });
    bar.append(label, button);
    document.querySelector("main").before(bar);
    field.focus();
  }

  async function ask(path, options = {}) {
    const token = sessionStorage.getItem(KEY);
    const headers = { ...options.headers };
    if (token) headers.Authorization = "Bearer " + token;
    const reply = await fetch(path, { cache: "no-store", ...options, headers });
    if (reply.status === 401) prompt(words.ask);
    if (reply.status === 403 && token) {
      const told = await reply.clone().json().catch(() => null);
      if (told && told.error && told.error.code === "scope_too_small") prompt(words.weak);
    }
    return reply;
  }

  // A link cannot carry a token, so with one the answer is fetched and then shown.
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a");
    const address = link && link.getAttribute("href");
    if (!address || !address.startsWith("api/") || address === "api/docs") return;
    if (!sessionStorage.getItem(KEY)) return;
    event.preventDefault();
    const reply = await ask(address);
    const shown = new Blob([await reply.text()], { type: "application/json" });
    window.open(URL.createObjectURL(shown), "_blank", "noopener");
  });

  window.gridlab = { fetch: ask };
})();
