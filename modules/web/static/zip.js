// A ZIP archive of files that are compressed already (PNG, JPEG, WebP): stored, not packed again.
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** CRC-32 as ZIP and PNG use it. */
export function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = TABLE[(value ^ byte) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

/** A Blob with the archive of `files`: `[{name, bytes: Uint8Array}]`. Names must differ. */
export function zip(files, when = new Date()) {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const { name, bytes } of files) {
    const title = new TextEncoder().encode(name);
    const facts = common(title, bytes, when);
    parts.push(block([0x04034b50, 4], ...facts), title, bytes);
    const entry = [[0x02014b50, 4], [20, 2], ...facts, [0, 2], [0, 2], [0, 2], [0, 4], [offset, 4]];
    directory.push(block(...entry), title);
    offset += 30 + title.length + bytes.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const count = files.length;
  const end = block([0x06054b50, 4], [0, 4], [count, 2], [count, 2], [size, 4], [offset, 4], [0, 2]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

/** The fields that a file's own head and its entry in the directory share. */
function common(title, bytes, when) {
  const time = (when.getHours() << 11) | (when.getMinutes() << 5) | (when.getSeconds() >> 1);
  const date = ((when.getFullYear() - 1980) << 9) | ((when.getMonth() + 1) << 5) | when.getDate();
  const utf8Names = 0x0800;
  return [
    [20, 2],
    [utf8Names, 2],
    [0, 2],
    [time, 2],
    [date, 2],
    [crc32(bytes), 4],
    [bytes.length, 4],
    [bytes.length, 4],
    [title.length, 2],
    [0, 2],
  ];
}

/** Little-endian numbers, `[value, bytes]` each. */
function block(...numbers) {
  const out = new Uint8Array(numbers.reduce((sum, [, length]) => sum + length, 0));
  const view = new DataView(out.buffer);
  let at = 0;
  for (const [value, length] of numbers) {
    if (length === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += length;
  }
  return out;
}
