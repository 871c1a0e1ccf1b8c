// The documentation page: draws /api/openapi.json and tries its GETs.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const portuguese = document.documentElement.lang === "pt";
  const say = (english, portuguese_) => (portuguese ? portuguese_ : english);
  let known = {};

  function make(tag, text, kind) {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (kind) made.className = kind;
    return made;
  }

  // A schema with its references put in, as deep as a reader can use.
  function resolved(schema, depth = 0) {
    if (Array.isArray(schema)) return schema.map((one) => resolved(one, depth));
    if (schema === null || typeof schema !== "object") return schema;
    if (typeof schema.$ref === "string") {
      const name = schema.$ref.split("/").pop();
      return depth > 6 ? name : resolved(known[name] || name, depth + 1);
    }
    const found = {};
    for (const [key, value] of Object.entries(schema)) {
      if (key !== "title") found[key] = resolved(value, depth + 1);
    }
    return found;
  }

  function kindOf(schema) {
    if (schema.enum) return schema.enum.join(" | ");
    const kind = [].concat(schema.type || "any").join(" | ");
    const low = schema.minimum === undefined ? "" : " ≥ " + schema.minimum;
    const high = schema.maximum === undefined ? "" : " ≤ " + schema.maximum;
    return kind + low + high + (schema.default === undefined ? "" : " (" + schema.default + ")");
  }

  function parameterTable(parameters, fields) {
    const table = make("table");
    for (const one of parameters) {
      const row = table.insertRow();
      row.insertCell().append(make("code", one.name));
      row.insertCell().textContent = one.in + (one.required ? " *" : "");
      row.insertCell().textContent = kindOf(one.schema);
      const cell = row.insertCell();
      if (!fields || one.in === "header") {
        cell.textContent = one.description || "";
        continue;
      }
      const field = make("input");
      field.setAttribute("aria-label", one.name);
      if (one.required && one.example !== undefined) field.value = one.example;
      field.placeholder = one.example === undefined ? "" : String(one.example);
      fields.push([one, field]);
      cell.append(field);
    }
    return table;
  }

  function block(title, value) {
    const made = make("details");
    made.append(make("summary", title), make("pre", JSON.stringify(value, null, 2)));
    return made;
  }

  function tryIt(path, fields) {
    const line = make("p", undefined, "answer-line");
    const button = make("button", say("Try it", "Testar"), "quiet");
    const code = make("span");
    const shown = make("pre");
    shown.hidden = true;
    button.addEventListener("click", async () => {
      const query = new URLSearchParams();
      let address = path;
      for (const [one, field] of fields) {
        const value = field.value.trim();
        if (one.in === "path") address = address.replace("{" + one.name + "}", encodeURIComponent(value));
        else if (value) query.set(one.name, value);
      }
      const text = query.toString();
      shown.hidden = false;
      try {
        const reply = await window.gridlab.fetch(".." + address + (text ? "?" + text : ""));
        const body = await reply.text();
        code.textContent = String(reply.status);
        code.className = reply.ok ? "ok" : "bad";
        try {
          shown.textContent = JSON.stringify(JSON.parse(body), null, 2);
        } catch {
          shown.textContent = body;
        }
      } catch {
        code.textContent = say("the API does not answer", "sem resposta da API");
        code.className = "bad";
      }
    });
    line.append(button, code);
    return [line, shown];
  }

  function draw(path, method, operation) {
    const box = make("details", undefined, "operation");
    box.id = operation.operationId;
    const head = make("summary");
    head.append(
      make("span", method.toUpperCase(), "method method-" + method),
      make("code", path),
      make("span", operation.summary, "about"),
      make("span", operation["x-scope"], "scope"),
    );
    box.append(head);
    box.dataset.text = (method + " " + path + " " + operation.summary + " " + operation.tags).toLowerCase();
    box.addEventListener("toggle", () => {
      if (!box.open || box.dataset.drawn) return;
      box.dataset.drawn = "1";
      fill(box, path, method, operation);
    });
    return box;
  }

  function fill(box, path, method, operation) {
    const streams = Object.keys(operation.responses["200"]?.content || {}).includes("text/event-stream");
    const fields = method === "get" && !streams ? [] : null;
    if (operation.parameters) {
      box.append(make("h4", say("Parameters", "Parâmetros")), parameterTable(operation.parameters, fields));
    }
    if (operation.requestBody) {
      const content = operation.requestBody.content["application/json"];
      box.append(make("h4", say("Body", "Corpo")));
      if (content.example) box.append(make("pre", JSON.stringify(content.example, null, 2)));
      box.append(block(say("schema", "esquema"), resolved(content.schema)));
    }
    if (fields) box.append(...tryIt(path, fields));
    box.append(make("h4", say("Answers", "Respostas")));
    for (const [status, answer] of Object.entries(operation.responses)) {
      const content = Object.values(answer.content || {})[0];
      const title = status + " · " + answer.description;
      box.append(content ? block(title, resolved(content.schema)) : make("p", title));
    }
  }

  function show(document_) {
    known = document_.components.schemas;
    byId("about").textContent = document_.info.title + " " + document_.info.version + ". " + document_.info.description;
    const groups = new Map();
    for (const [path, methods] of Object.entries(document_.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        const tag = operation.tags[0];
        if (!groups.has(tag)) groups.set(tag, []);
        groups.get(tag).push(draw(path, method, operation));
      }
    }
    const place = byId("operations");
    place.replaceChildren();
    for (const [tag, boxes] of groups) {
      const section = make("section");
      section.append(make("h2", tag), ...boxes);
      place.append(section);
    }
    const named = byId(location.hash.slice(1));
    if (named) { named.open = true; named.scrollIntoView(); }
  }

  byId("filter").addEventListener("input", (event) => {
    const wanted = event.target.value.trim().toLowerCase();
    for (const box of document.querySelectorAll(".operation")) {
      box.hidden = !box.dataset.text.includes(wanted);
    }
  });

  window.gridlab.fetch("openapi.json")
    .then((reply) => (reply.ok ? reply.json().then(show) : undefined))
    .catch(() => { byId("operations").textContent = say("the API does not answer", "sem resposta da API"); });
})();
