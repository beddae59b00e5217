// @ts-check
/** Bytes that come in pieces, as what unpacks them gives them. */

/**
 * Collect a stream, up to a limit: a few packed bytes can hold gigabytes.
 *
 * @param {ReadableStream<Uint8Array>} stream
 * @param {number} mostBytes
 * @param {(size: number) => Error} refuse  makes the error for a stream that has more
 * @returns {Promise<Uint8Array>}
 * @throws what `refuse` makes, and what the stream throws
 */
export async function collect(stream, mostBytes, refuse) {
  const pieces = [];
  let size = 0;
  for (const reader = stream.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > mostBytes) {
      await reader.cancel();
      throw refuse(size);
    }
    pieces.push(value);
  }
  const whole = new Uint8Array(size);
  let offset = 0;
  for (const piece of pieces) {
    whole.set(piece, offset);
    offset += piece.length;
  }
  return whole;
}
