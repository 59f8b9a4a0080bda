// Ask: one file to the service and back, asked again where that is what it says.
const PATIENCE = 5;
const AGAIN = new Set([429, 502, 503]);
let key = sessionStorage.getItem("key") ?? "";

export const hasKey = () => key !== "";

export function useKey(value) {
  key = value.trim();
  sessionStorage.setItem("key", key);
}

export const protocols = () => (key ? ["faces", `bearer.${key}`] : ["faces"]);

// As a batch of one a refusal comes inside of an answer, and leaves no error in the console.
export const predict = (file) => ask("predict/batch", file, ({ results: [{ status, prediction, problem }] }) => ({ status, value: prediction ?? undefined, problem: problem ?? undefined }));

export async function ask(path, file, opened = null) {
  const body = new FormData();
  body.append("file", file, file.name);
  for (let tries = 1; ; tries++) {
    let answer = await once(path, { method: "POST", body });
    if (opened && answer.value) answer = opened(answer.value);
    if (!AGAIN.has(answer.status) || tries === PATIENCE || path === "predict/video") return answer;
    await new Promise((resolve) => setTimeout(resolve, 1000 * Math.min(answer.retryAfter || 2 ** (tries - 1), 10)));
  }
}

export const get = (path) => once(path, {});

async function once(path, options) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  try {
    const response = await fetch(path, { ...options, headers, cache: "no-store" });
    const retryAfter = Number(response.headers.get("Retry-After")) || 0;
    const text = await response.text();
    try {
      const value = JSON.parse(text);
      return response.ok ? { status: response.status, value } : { status: response.status, problem: value, retryAfter };
    } catch {
      const problem = { code: response.status === 413 ? "payload_too_large" : "bad_request", detail: `HTTP ${response.status}` };
      return { status: response.status, problem, retryAfter };
    }
  } catch {
    return { status: 0, problem: { code: "gone", detail: "no connection" } };
  }
}

export function curl(item) {
  const address = new URL(item.video ? "predict/video" : "predict", document.baseURI).href;
  const name = item.file.name.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("'", "'\\''");
  const quoted = /["\\;,]/.test(item.file.name) ? `file=@"${name}"` : `file=@${name}`;
  const header = key ? ` -H "Authorization: Bearer $KEY"` : "";
  return `curl${header} -F '${quoted}' '${address}'`;
}
