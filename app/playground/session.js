// @ts-check
/** What a person has gathered in the page: clips, texts, languages and signs that were taught. It can be kept in a file. */

/** @typedef {import("./pose/reader.js").Pose} Pose */
/**
 * @typedef {object} Clip one signed item.
 * @property {string} id
 * @property {string} name
 * @property {"webcam" | "video" | "pose" | "sample"} origin
 * @property {Uint8Array} pose bytes of a .pose file
 * @property {Pose} decoded
 * @property {Blob | null} video what the pose was estimated from; null where the page has none
 * @property {"browser" | "server" | "file"} extractor who estimated the pose
 */
/**
 * @typedef {object} Example a sign that was taught.
 * @property {string} label
 * @property {number[]} vector
 * @property {string} space what the vector may be compared with
 * @property {string} clip id of the clip it is the vector of
 */
/** @typedef {"clips" | "current" | "texts" | "languages" | "bank" | "restored"} Change */

/** @type {Clip["origin"][]} */
const ORIGINS = ["webcam", "video", "pose", "sample"];
/** @type {Clip["extractor"][]} */
const EXTRACTORS = ["browser", "server", "file"];
const FORMAT = "signclip-session";
const VERSION = 1;
/** A file past this size is no session: a hundred clips of ten seconds take half of it. */
const MAX_FILE_BYTES = 512 * 1024 * 1024;

/** Tells what of a session changed. */
export class ChangeEvent extends Event {
  /** @param {Change} what */
  constructor(what) {
    super("change");
    this.what = what;
  }
}

/** The file is no session that this page can read. */
export class SessionFileError extends Error {
  /** @param {string} code a text of strings.js: error.<code> */
  constructor(code) {
    super(code);
    this.name = "SessionFileError";
    this.code = code;
  }
}

export class Session extends EventTarget {
  /** @param {(bytes: Uint8Array) => Pose} decode reads a .pose file, or throws. */
  constructor(decode) {
    super();
    this._decode = decode;
    /** @type {Clip[]} */
    this.clips = [];
    /** @type {Clip | null} */
    this.current = null;
    /** @type {string[]} */
    this.texts = [];
    this.signLanguage = "";
    this.spokenLanguage = "en";
    /** @type {Example[]} */
    this.bank = [];
  }

  /**
   * Add a clip and make it the current one.
   *
   * @param {Omit<Clip, "id" | "decoded">} clip
   * @returns {Clip}
   * @throws {Error} what the decoder throws: the bytes are no pose.
   */
  add(clip) {
    const added = { ...clip, id: makeId(), decoded: this._decode(clip.pose) };
    this.clips = [...this.clips, added];
    this._tell("clips");
    this.select(added.id);
    return added;
  }

  /** @param {string} id */
  select(id) {
    const wanted = this.clips.find((clip) => clip.id === id) ?? null;
    if (wanted === this.current) return;
    this.current = wanted;
    this._tell("current");
  }

  /** @param {string} id */
  remove(id) {
    const place = this.clips.findIndex((clip) => clip.id === id);
    if (place < 0) return;
    this.clips = this.clips.filter((clip) => clip.id !== id);
    this._tell("clips");
    if (this.current?.id === id) {
      this.current = this.clips[Math.min(place, this.clips.length - 1)] ?? null;
      this._tell("current");
    }
  }

  /** @param {string[]} texts */
  setTexts(texts) {
    this.texts = [...texts];
    this._tell("texts");
  }

  /** @param {{signLanguage?: string, spokenLanguage?: string}} languages */
  setLanguages({ signLanguage = this.signLanguage, spokenLanguage = this.spokenLanguage }) {
    this.signLanguage = signLanguage;
    this.spokenLanguage = spokenLanguage;
    this._tell("languages");
  }

  /** @param {Example[]} bank */
  setBank(bank) {
    this.bank = [...bank];
    this._tell("bank");
  }

  /**
   * Write the session as a file, without its videos.
   *
   * @param {(pose: Uint8Array) => Uint8Array} [change] makes another .pose file of each
   * @returns {Blob}
   */
  toFile(change = (pose) => pose) {
    const clips = this.clips.map(({ id, name, origin, extractor, pose }) => ({ id, name, origin, extractor, pose: encodeBase64(change(pose)) }));
    const { texts, signLanguage, spokenLanguage, bank } = this;
    const current = this.current === null ? null : this.clips.indexOf(this.current);
    const content = { format: FORMAT, version: VERSION, clips, current, texts, signLanguage, spokenLanguage, bank };
    return new Blob([JSON.stringify(content)], { type: "application/json" });
  }

  /**
   * Replace the session by that of a file, or leave it as it is.
   *
   * @param {Blob} file
   * @throws {SessionFileError} it is no session.
   */
  async fromFile(file) {
    if (file.size > MAX_FILE_BYTES) throw new SessionFileError("session_too_large");
    const content = readContent(await file.text());
    const clips = content.clips.map((clip) => this._restore(clip));
    this.clips = clips;
    this.current = clips[content.current ?? 0] ?? null;
    this.texts = content.texts;
    this.signLanguage = content.signLanguage;
    this.spokenLanguage = content.spokenLanguage;
    this.bank = Array.isArray(content.bank) ? content.bank : [];
    for (const what of /** @type {Change[]} */ (["clips", "texts", "languages", "bank", "current", "restored"])) this._tell(what);
  }

  /**
   * @param {any} clip
   * @returns {Clip}
   */
  _restore(clip) {
    try {
      const pose = decodeBase64(clip.pose);
      const origin = ORIGINS.find((known) => known === clip.origin) ?? "pose";
      const extractor = EXTRACTORS.find((known) => known === clip.extractor) ?? "file";
      return { id: String(clip.id), name: String(clip.name), origin, extractor, video: null, pose, decoded: this._decode(pose) };
    } catch {
      throw new SessionFileError("session_damaged");
    }
  }

  /** @param {Change} what */
  _tell(what) {
    this.dispatchEvent(new ChangeEvent(what));
  }
}

/** Make an id. `randomUUID` is there on localhost and over HTTPS alone. */
function makeId() {
  return crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
}

/**
 * @param {string} text
 * @returns {{clips: any[], current: number | null, texts: string[], signLanguage: string, spokenLanguage: string, bank: Example[]}}
 */
function readContent(text) {
  let content;
  try {
    content = JSON.parse(text);
  } catch {
    throw new SessionFileError("session_damaged");
  }
  if (content?.format !== FORMAT) throw new SessionFileError("session_unknown");
  if (content.version !== VERSION) throw new SessionFileError("session_newer");
  if (!isWhole(content)) throw new SessionFileError("session_damaged");
  return content;
}

/**
 * Whether the parts of a session are what this page writes. Anybody may have made the file, or the link that holds it.
 *
 * @param {any} content
 */
function isWhole({ clips, texts, current, signLanguage, spokenLanguage }) {
  const isText = (/** @type {unknown} */ value) => typeof value === "string";
  if (!Array.isArray(clips) || !Array.isArray(texts)) return false;
  if (![...texts, signLanguage, spokenLanguage].every(isText) || !(current === null || Number.isInteger(current))) return false;
  return new Set(clips.map((clip) => clip?.id)).size === clips.length;
}

/**
 * @param {Uint8Array} bytes
 * @returns {string}
 */
export function encodeBase64(bytes) {
  let text = "";
  // String.fromCharCode takes no more than some ten thousand arguments.
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

/**
 * @param {string} text
 * @returns {Uint8Array}
 * @throws {Error} the text is no base64.
 */
export function decodeBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
