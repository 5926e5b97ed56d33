// Talking to our own server; failures become one sentence in the visitor's language.
const { config, t, has } = window.Easel;

/** A request that the server refused or that never arrived. */
export class ApiError extends Error {
  constructor(status, payload) {
    super(sentence(status, payload));
    this.status = status;
    this.payload = payload;
  }
}

export const get = (path) => ask("GET", path);
export const post = (path, body = {}) => ask("POST", path, body);
export const put = (path, body) => ask("PUT", path, body);
export const remove = (path) => ask("DELETE", path);

/** Send the bytes of a picture and get what the server reads from it. */
export const imageInfo = (file) =>
  send("/easel/v1/image-info", {
    method: "POST",
    body: file,
    headers: { "Content-Type": file.type || "application/octet-stream" },
  });

/** Put a picture file into the server's store of inputs: `{ref, width, height, has_alpha, url}`. */
export const putInput = (file) =>
  send("/easel/v1/inputs", {
    method: "POST",
    body: file,
    headers: { "Content-Type": file.type || "application/octet-stream" },
  });

/** Send the bytes of a picture to a route and get its answer. */
export const sendPicture = (path, file) =>
  send(path, {
    method: "POST",
    body: file,
    headers: { "Content-Type": file.type || "application/octet-stream" },
  });

/** Make the picture of a file again: `{job}`. */
export const replayFile = (file) =>
  send("/easel/v1/replay", {
    method: "POST",
    body: file,
    headers: { "Content-Type": file.type || "application/octet-stream" },
  });

/** What a text with parameters says. */
export const textInfo = (text) => post("/easel/v1/image-info", { text });

async function ask(method, path, body) {
  const request = { method, headers: { Accept: "application/json" } };
  if (body !== undefined) {
    request.body = JSON.stringify(body);
    request.headers["Content-Type"] = "application/json";
  }
  return send(path, request);
}

async function send(path, request) {
  let answer;
  try {
    answer = await fetch(config.root + path, request);
  } catch {
    throw new ApiError(0, null);
  }
  const payload = await answer.json().catch(() => null);
  // The session is over: the same address now asks for the login. The form is kept meanwhile.
  if (answer.status === 401 && !path.startsWith("/sdapi/")) location.reload();
  if (!answer.ok) throw new ApiError(answer.status, payload);
  return payload;
}

function sentence(status, payload) {
  if (status === 0) return t("error.unreachable");
  if (status === 429) return t("error.queue_full");
  const field = payload?.field ?? payload?.detail?.[0]?.loc?.at(-1);
  const name = field && has(`field.${field}`) ? t(`field.${field}`) : field;
  const plain = payload?.errors || (typeof payload?.detail === "string" ? payload.detail : "");
  if (config.language === "en") return plain || t("error.status", { status });
  const allowed = payload?.allowed?.length ? payload.allowed.slice(0, 12).join(", ") : "";
  if (name && allowed) return t("error.not_allowed", { field: name, value: payload.value, allowed });
  if (name) return t("error.field", { field: name, reason: plain });
  return plain ? t("error.reason", { reason: plain }) : t("error.status", { status });
}
