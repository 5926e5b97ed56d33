// Pictures and masks of the canvases in the browser's database, so that they outlive a reload.
const NAME = "easel-canvas";
const STORE = "canvases";
let opened = null;

function database() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error("blocked"));
  });
  return opened;
}

async function work(mode, action) {
  try {
    const store = (await database()).transaction(STORE, mode).objectStore(STORE);
    return await new Promise((resolve, reject) => {
      const request = action(store);
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  } catch {
    opened = null;
    return undefined; // A browser without storage forgets the picture at a reload; nothing else is lost.
  }
}

/** What was kept under an id, or undefined. */
export const read = (id) => work("readonly", (store) => store.get(id));

/** Keep a record; blobs and arrays may be in it. */
export const write = (id, record) => work("readwrite", (store) => store.put(record, id));

/** Forget a record. */
export const forget = (id) => work("readwrite", (store) => store.delete(id));

/** Bytes made small, or as they are where the browser cannot. */
export async function pack(bytes) {
  if (typeof CompressionStream === "undefined") return { bytes };
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  return { packed: await new Response(stream).blob() };
}

/** The bytes of `pack`. */
export async function unpack({ packed, bytes }) {
  if (!packed) return bytes;
  const stream = packed.stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
