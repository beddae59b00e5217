// @ts-check
/** Every text that a person reads in the playground, by language. A new language is a new block with the same keys. */

const en = {
  "page.title": "SignCLIP playground",
  "page.lead": "Sign, and see what the model reads.",
  "page.private": "Signs are read in your browser. The video never leaves this machine; only the movements of a stick figure are sent, to this service alone.",
  "page.serverPrivate": "This page cannot read videos itself. It asks before it sends one to this service.",
  "page.docs": "API reference",
  "page.language": "Auf Deutsch",
  "page.otherLanguage": "de",
  "page.skip": "Skip to the results",
  "page.empty": "Choose a sample, record a sign, or drop a file. What the model reads appears here.",
  "page.views": "Ways to look at it",
  "status.ready": "ready: {model}",
  "status.starting": "starting",
  "status.away": "no answer",
  "ready.waiting": "The model is not ready yet. This page goes on by itself as soon as it is.",
  "ready.reason": "The service says: {reason}",
  "ready.away": "The service does not answer. Check that it still runs (make serve); this page goes on by itself as soon as it answers.",
  "key.label": "API key",
  "key.hint": "This service needs one of its API keys. It is kept in this tab alone.",
  "key.save": "Use this key",
  "key.forget": "Forget the key",
  "source.title": "Bring a sign",
  "source.samples": "Try a sample",
  "source.webcam": "Use your camera",
  "source.files": "Open a video or a .pose file",
  "source.drop": "Drop a file here, or",
  "source.choose": "choose a file",
  "source.fileHint": "Videos that your browser plays (MP4, WebM, MOV), or poses (.pose).",
  "samples.none": "This service came without samples.",
  "samples.video": "video",
  "webcam.start": "Start the camera",
  "webcam.stop": "Stop the camera",
  "webcam.record": "Record",
  "webcam.finish": "Finish",
  "webcam.seconds": "Length",
  "webcam.secondsValue": "{seconds} s",
  "webcam.hint": "You see yourself as in a mirror. The recording is not mirrored, so that right stays right.",
  "webcam.countdown": "Recording starts in {seconds}",
  "webcam.recording": "Recording: {seconds} s left",
  "webcam.name": "Recording {number}",
  "webcam.preview": "What the camera sees, mirrored",
  "clips.title": "Clips",
  "clips.remove": "Remove {name}",
  "clips.frames": "{frames} frames",
  "origin.webcam": "camera",
  "origin.video": "video",
  "origin.pose": "pose file",
  "origin.sample": "sample",
  "estimation.preparing": "Loading the pose estimator (30 MB, once) …",
  "estimation.reading": "Reading the video …",
  "estimation.progress": "Finding the signer: frame {done} of {total}, {rate} a second, about {left} s left",
  "estimation.server": "The service estimates the pose …",
  "estimation.cancel": "Cancel",
  "estimation.cancelled": "Cancelled.",
  "estimation.done": "{name}: {frames} frames are ready.",
  "estimation.askTitle": "Send this video to the service?",
  "estimation.askMissing": "The files of the pose estimator are not installed (make playground), so this page cannot estimate the pose by itself.",
  "estimation.askUnable": "This browser cannot estimate the pose by itself: {reason}",
  "estimation.askWhat": "The service at {host} can do it. It would receive the whole video of {size} MB, and keeps nothing of it.",
  "estimation.askSend": "Send the video",
  "estimation.askKeep": "Do not send it",
  "session.title": "Session",
  "session.save": "Save to a file",
  "session.open": "Open a file",
  "session.hint": "Clips as poses, texts and taught signs; videos are not kept. Nothing goes to the service.",
  "session.restored": "The session is open: {clips} clips.",
  "error.unreachable": "The service does not answer. Check that it runs and that this machine is connected, then try again.",
  "error.key_refused": "This API key is not right. Enter one of the service's keys at the top of the page.",
  "error.not_ready": "The model is not ready yet. Try again in a moment.",
  "error.queue_full": "The service is busy. Try again in a moment.",
  "error.body_too_large": "The file is larger than the service takes. Send a shorter clip.",
  "error.camera_denied": "The camera is not allowed. Allow it in the address bar of the browser, then start it again.",
  "error.camera_missing": "No camera was found. Connect one, or open a video instead.",
  "error.camera_busy": "The camera does not start. Another program may use it: close that program, then try again.",
  "error.camera_insecure": "Browsers open the camera only on localhost or over HTTPS. Open this page in one of these ways, or open a video instead.",
  "error.file_unknown": "{name} is neither a video nor a .pose file. Open an MP4, WebM or MOV video, or a .pose file.",
  "error.pose_damaged": "{name} is no .pose file that can be read: {reason}",
  "error.video_unreadable": "This browser cannot play {name}. Convert it to MP4 with H.264, or send it to the service instead.",
  "error.video_long": "{name} is {seconds} s long. This page takes clips of at most {limit} s: cut it first.",
  "error.nobody_seen": "Nobody was seen in {name}. Make sure that head, shoulders and hands are in the picture and well lit, then try again.",
  "error.estimator_failed": "The pose estimator stopped: {reason}. Try again; if it happens again, use the latest Chrome, Edge or Firefox.",
  "error.session_damaged": "The file is damaged or no session. Nothing was changed. Open a file that this page has saved.",
  "error.session_unknown": "The file is no session of this playground. Nothing was changed. Open a file that this page has saved.",
  "error.session_newer": "The session was saved by another version of this page. Nothing was changed. Update this service first.",
  "error.session_too_large": "The file is larger than any session. Nothing was changed.",
  "error.unforeseen": "Something went wrong in this page: {reason}. Reload it; if it happens again, please report it.",
  // views
};

/** @type {Record<keyof typeof en, string>} */
const de = {
  "page.title": "SignCLIP-Spielwiese",
  "page.lead": "Gebärden und sehen, was das Modell liest.",
  "page.private": "Gebärden werden im Browser gelesen. Das Video verlässt diesen Rechner nie; nur die Bewegungen einer Strichfigur gehen an diesen Dienst, und nur an ihn.",
  "page.serverPrivate": "Diese Seite kann Videos nicht selbst lesen. Sie fragt, bevor sie eines an diesen Dienst schickt.",
  "page.docs": "API-Referenz",
  "page.language": "In English",
  "page.otherLanguage": "en",
  "page.skip": "Zu den Ergebnissen springen",
  "page.empty": "Ein Beispiel wählen, eine Gebärde aufnehmen oder eine Datei ablegen. Hier erscheint, was das Modell liest.",
  "page.views": "Ansichten",
  "status.ready": "bereit: {model}",
  "status.starting": "startet",
  "status.away": "keine Antwort",
  "ready.waiting": "Das Modell ist noch nicht bereit. Sobald es bereit ist, geht es hier von selbst weiter.",
  "ready.reason": "Der Dienst meldet: {reason}",
  "ready.away": "Der Dienst antwortet nicht. Bitte prüfen, ob er noch läuft (make serve); sobald er antwortet, geht es hier von selbst weiter.",
  "key.label": "API-Schlüssel",
  "key.hint": "Dieser Dienst braucht einen seiner API-Schlüssel. Er wird nur in diesem Tab behalten.",
  "key.save": "Diesen Schlüssel verwenden",
  "key.forget": "Schlüssel vergessen",
  "source.title": "Eine Gebärde zeigen",
  "source.samples": "Ein Beispiel ausprobieren",
  "source.webcam": "Die Kamera verwenden",
  "source.files": "Video oder .pose-Datei öffnen",
  "source.drop": "Eine Datei hier ablegen oder",
  "source.choose": "eine Datei wählen",
  "source.fileHint": "Videos, die der Browser abspielt (MP4, WebM, MOV), oder Posen (.pose).",
  "samples.none": "Dieser Dienst hat keine Beispiele.",
  "samples.video": "Video",
  "webcam.start": "Kamera starten",
  "webcam.stop": "Kamera ausschalten",
  "webcam.record": "Aufnehmen",
  "webcam.finish": "Fertig",
  "webcam.seconds": "Länge",
  "webcam.secondsValue": "{seconds} s",
  "webcam.hint": "Das Bild ist gespiegelt wie in einem Spiegel. Die Aufnahme ist es nicht, damit rechts rechts bleibt.",
  "webcam.countdown": "Aufnahme beginnt in {seconds}",
  "webcam.recording": "Aufnahme: noch {seconds} s",
  "webcam.name": "Aufnahme {number}",
  "webcam.preview": "Was die Kamera sieht, gespiegelt",
  "clips.title": "Clips",
  "clips.remove": "{name} entfernen",
  "clips.frames": "{frames} Bilder",
  "origin.webcam": "Kamera",
  "origin.video": "Video",
  "origin.pose": "Posen-Datei",
  "origin.sample": "Beispiel",
  "estimation.preparing": "Der Posenschätzer wird geladen (30 MB, einmalig) …",
  "estimation.reading": "Das Video wird gelesen …",
  "estimation.progress": "Die Person wird gesucht: Bild {done} von {total}, {rate} je Sekunde, noch etwa {left} s",
  "estimation.server": "Der Dienst schätzt die Pose …",
  "estimation.cancel": "Abbrechen",
  "estimation.cancelled": "Abgebrochen.",
  "estimation.done": "{name}: {frames} Bilder sind fertig.",
  "estimation.askTitle": "Dieses Video an den Dienst schicken?",
  "estimation.askMissing": "Die Dateien des Posenschätzers sind nicht installiert (make playground); darum kann diese Seite die Pose nicht selbst schätzen.",
  "estimation.askUnable": "Dieser Browser kann die Pose nicht selbst schätzen: {reason}",
  "estimation.askWhat": "Der Dienst unter {host} kann es. Er bekäme das ganze Video mit {size} MB und behält nichts davon.",
  "estimation.askSend": "Video schicken",
  "estimation.askKeep": "Nicht schicken",
  "session.title": "Sitzung",
  "session.save": "In einer Datei sichern",
  "session.open": "Eine Datei öffnen",
  "session.hint": "Clips als Posen, Texte und beigebrachte Gebärden; Videos werden nicht gesichert. Nichts davon geht an den Dienst.",
  "session.restored": "Die Sitzung ist geöffnet: {clips} Clips.",
  "error.unreachable": "Der Dienst antwortet nicht. Bitte prüfen, ob er läuft und dieser Rechner verbunden ist, dann noch einmal versuchen.",
  "error.key_refused": "Dieser API-Schlüssel stimmt nicht. Bitte oben auf der Seite einen Schlüssel des Dienstes eingeben.",
  "error.not_ready": "Das Modell ist noch nicht bereit. Bitte gleich noch einmal versuchen.",
  "error.queue_full": "Der Dienst ist beschäftigt. Bitte gleich noch einmal versuchen.",
  "error.body_too_large": "Die Datei ist größer, als der Dienst annimmt. Bitte einen kürzeren Clip schicken.",
  "error.camera_denied": "Die Kamera ist nicht erlaubt. Bitte in der Adresszeile des Browsers erlauben und noch einmal starten.",
  "error.camera_missing": "Keine Kamera gefunden. Bitte eine anschließen oder ein Video öffnen.",
  "error.camera_busy": "Die Kamera startet nicht. Vielleicht benutzt sie ein anderes Programm: bitte schließen und noch einmal versuchen.",
  "error.camera_insecure": "Browser öffnen die Kamera nur auf localhost oder über HTTPS. Bitte die Seite so öffnen oder ein Video verwenden.",
  "error.file_unknown": "{name} ist weder ein Video noch eine .pose-Datei. Bitte ein Video (MP4, WebM, MOV) oder eine .pose-Datei öffnen.",
  "error.pose_damaged": "{name} ist keine lesbare .pose-Datei: {reason}",
  "error.video_unreadable": "Dieser Browser kann {name} nicht abspielen. Bitte in MP4 mit H.264 umwandeln oder an den Dienst schicken.",
  "error.video_long": "{name} ist {seconds} s lang. Diese Seite nimmt Clips bis {limit} s: bitte zuerst schneiden.",
  "error.nobody_seen": "In {name} ist niemand zu sehen. Kopf, Schultern und Hände müssen gut beleuchtet im Bild sein; bitte noch einmal versuchen.",
  "error.estimator_failed": "Der Posenschätzer ist stehen geblieben: {reason}. Bitte noch einmal versuchen; sonst hilft ein aktueller Chrome, Edge oder Firefox.",
  "error.session_damaged": "Die Datei ist beschädigt oder keine Sitzung. Nichts wurde geändert. Bitte eine Datei öffnen, die diese Seite gesichert hat.",
  "error.session_unknown": "Die Datei ist keine Sitzung dieser Spielwiese. Nichts wurde geändert. Bitte eine Datei öffnen, die diese Seite gesichert hat.",
  "error.session_newer": "Die Sitzung stammt von einer anderen Fassung dieser Seite. Nichts wurde geändert. Bitte zuerst diesen Dienst aktualisieren.",
  "error.session_too_large": "Die Datei ist größer als jede Sitzung. Nichts wurde geändert.",
  "error.unforeseen": "In dieser Seite ging etwas schief: {reason}. Bitte neu laden; wenn es wieder geschieht, bitte melden.",
  // views
};

/** @type {Record<string, Record<string, string>>} */
export const STRINGS = { en, de };

/**
 * @typedef {((key: string, values?: Record<string, unknown>) => string) & {language: string, find: (key: string) => string | null}} Translate
 *   writes a text in the person's language; `find` gives null where there is no such text.
 */

/**
 * Make what writes texts in one language.
 *
 * @param {string} language a key of STRINGS; any other is English.
 * @returns {Translate}
 */
export function translator(language) {
  const texts = STRINGS[language] ?? en;
  /** @param {string} key */
  const find = (key) => texts[key] ?? null;
  /**
   * @param {string} key
   * @param {Record<string, unknown>} [values]
   */
  const t = (key, values = {}) => {
    const text = find(key);
    if (text === null) throw new Error(`strings.js has no text ${key}`);
    return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
  };
  return Object.assign(t, { language: STRINGS[language] ? language : "en", find });
}

/**
 * Choose the language: the person's last choice, else the first of the browser's that there is.
 *
 * @param {string | null} chosen
 * @param {readonly string[]} wanted tags of languages, as "de-AT".
 */
export function chooseLanguage(chosen, wanted) {
  const tags = [chosen ?? "", ...wanted].map((tag) => tag.slice(0, 2).toLowerCase());
  return tags.find((tag) => tag in STRINGS) ?? "en";
}
