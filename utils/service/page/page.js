'use strict';
// The page of symfer serve. It sends pictures to /recognise and camera frames to /live, each after the response to the last.

const COLOURS = ['#1f5fc4', '#b3261e', '#1b7f3b', '#8a4fbf', '#a15c00', '#006d77'];
const FRAME_SIDE = 640; // longest side in pixels of a camera frame that is sent
const FADE = 0.35; // weight of a new camera frame in the smoothed bars
const at = (id) => document.getElementById(id);

function element(name, properties = {}, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
}

function say(text, wrong = false) {
  at('status').textContent = text;
  at('status').classList.toggle('error', wrong);
}

const percent = (p) => `${Math.round(100 * p)} %`;
const numberOf = (face, k) => face.person ?? k + 1;
const colourOf = (number) => COLOURS[(number - 1) % COLOURS.length];

function drawBoxes(canvas, result) {
  canvas.width = result.width;
  canvas.height = result.height;
  const pen = canvas.getContext('2d');
  const unit = Math.max(result.width, result.height) / 640;
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.lineWidth = 3 * unit;
  pen.font = `600 ${16 * unit}px system-ui, sans-serif`;
  result.faces.forEach((face, k) => {
    const { left, top, width, height } = face.faceRectangle;
    const colour = colourOf(numberOf(face, k));
    const text = `${numberOf(face, k)}  ${face.answer}`;
    const wide = pen.measureText(text).width + 12 * unit;
    const high = 24 * unit;
    const x = Math.max(0, Math.min(left, result.width - wide));
    const y = top >= high ? top - high : Math.min(top + height, result.height - high);
    pen.strokeStyle = colour;
    pen.strokeRect(left, top, width, height);
    pen.fillStyle = colour;
    pen.fillRect(x, y, wide, high);
    pen.fillStyle = '#fff';
    pen.fillText(text, x + 6 * unit, y + 17 * unit);
  });
}

function faceTable(face, k) {
  const number = numberOf(face, k);
  const badge = element('span', { className: 'number', textContent: number });
  badge.style.background = colourOf(number);
  const rows = Object.entries(face.scores).map(([name, p]) => {
    const bar = element('div');
    bar.style.width = `${100 * p}%`;
    const track = element('div', { className: 'track' }, bar);
    track.setAttribute('aria-hidden', 'true');
    const heading = element('th', { textContent: name });
    heading.scope = 'row';
    return element('tr', {}, heading, element('td', {}, track), element('td', { className: 'value', textContent: percent(p) }));
  });
  const table = element('table', {}, element('tbody', {}, ...rows));
  table.setAttribute('aria-label', `Probabilities of face ${number}`);
  return element('section', { className: 'face' }, element('h3', {}, badge, face.answer), table);
}

function inWords(result) {
  if (!result.faces.length) return 'no face';
  const faces = result.faces.map((face, k) => `${numberOf(face, k)}: ${face.answer}, ${percent(face.scores[face.answer] ?? 0)}`);
  return `${faces.length} ${faces.length === 1 ? 'face' : 'faces'} (${faces.join('; ')})`;
}

// ---------------------------------------------------------------------- pictures

async function recognise(file) {
  const answer = await fetch('/recognise', { method: 'POST', body: file, headers: { 'content-type': file.type || 'application/octet-stream' } });
  const seconds = Number(answer.headers.get('retry-after') || 0);
  if (answer.status === 503 && seconds) {
    await new Promise((done) => setTimeout(done, 1000 * seconds));
    return recognise(file);
  }
  const result = await answer.json();
  if (!answer.ok) throw new Error(result.error);
  return result;
}

async function show(file) {
  const box = element('section', { className: 'result' }, element('h2', { textContent: file.name || 'pasted picture' }));
  at('results').prepend(box);
  try {
    const result = await recognise(file);
    const image = element('img', { src: URL.createObjectURL(file), alt: `Picture with ${inWords(result)}` });
    image.addEventListener('load', () => URL.revokeObjectURL(image.src), { once: true });
    const canvas = element('canvas');
    canvas.setAttribute('aria-hidden', 'true');
    drawBoxes(canvas, result);
    const faces = result.faces.length ? result.faces.map(faceTable) : [element('p', { textContent: 'No face was found.' })];
    box.append(element('div', { className: 'stage' }, image, canvas), element('div', {}, ...faces));
    return `${file.name || 'picture'}: ${inWords(result)}`;
  } catch (error) {
    box.append(element('p', { className: 'error', textContent: error.message }));
    return `${file.name || 'picture'}: ${error.message}`;
  }
}

async function showAll(files) {
  const pictures = [...files];
  const said = [];
  for (const [k, file] of pictures.entries()) {
    say(`Picture ${k + 1} of ${pictures.length} …`);
    said.push(await show(file));
  }
  if (pictures.length) say(said.join('. '));
}

at('files').addEventListener('change', (event) => {
  showAll(event.target.files);
  event.target.value = '';
});
document.addEventListener('paste', (event) => showAll(event.clipboardData.files));
for (const name of ['dragenter', 'dragover']) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    at('drop').classList.add('over');
  });
}
document.addEventListener('dragleave', () => at('drop').classList.remove('over'));
document.addEventListener('drop', (event) => {
  event.preventDefault();
  at('drop').classList.remove('over');
  showAll(event.dataTransfer.files);
});

// ---------------------------------------------------------------------- camera

const camera = { stream: null, socket: null, canvas: document.createElement('canvas'), scores: new Map(), answered: 0, began: 0 };

function send() {
  const video = at('video');
  if (!camera.socket || camera.socket.readyState !== WebSocket.OPEN) return;
  if (!video.videoWidth) {
    requestAnimationFrame(send);
    return;
  }
  const factor = Math.min(1, FRAME_SIDE / Math.max(video.videoWidth, video.videoHeight));
  camera.canvas.width = Math.round(video.videoWidth * factor);
  camera.canvas.height = Math.round(video.videoHeight * factor);
  camera.canvas.getContext('2d').drawImage(video, 0, 0, camera.canvas.width, camera.canvas.height);
  camera.canvas.toBlob((blob) => blob && camera.socket?.readyState === WebSocket.OPEN && camera.socket.send(blob), 'image/jpeg', 0.85);
}

function smoothed(face) {
  const before = camera.scores.get(face.person);
  const scores = before
    ? Object.fromEntries(Object.entries(face.scores).map(([name, p]) => [name, FADE * p + (1 - FADE) * before[name]]))
    : face.scores;
  camera.scores.set(face.person, scores);
  return { ...face, scores };
}

function answered(event) {
  const result = JSON.parse(event.data);
  if (!result.error) {
    drawBoxes(at('overlay'), result);
    const there = new Set(result.faces.map((face) => face.person));
    for (const person of camera.scores.keys()) if (!there.has(person)) camera.scores.delete(person);
    at('faces').replaceChildren(...result.faces.map(smoothed).map(faceTable));
    camera.answered += 1;
    const seconds = (performance.now() - camera.began) / 1000;
    if (camera.answered % 15 === 0) say(`Camera: ${(camera.answered / seconds).toFixed(1)} frames/s, ${inWords(result)}`);
  }
  setTimeout(() => requestAnimationFrame(send), result.error ? 250 : 0);
}

function cameraOff(text = 'The camera is off.', wrong = false) {
  camera.stream?.getTracks().forEach((track) => track.stop());
  camera.socket?.close();
  Object.assign(camera, { stream: null, socket: null, scores: new Map(), answered: 0 });
  at('live').hidden = true;
  at('faces').replaceChildren();
  at('camera').textContent = 'Turn the camera on';
  at('camera').setAttribute('aria-pressed', 'false');
  say(text, wrong);
}

async function cameraOn() {
  if (!navigator.mediaDevices?.getUserMedia) {
    say('The browser allows the camera only on local and https pages.', true);
    return;
  }
  try {
    camera.stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, facingMode: 'user' }, audio: false });
  } catch (error) {
    say(`The camera cannot be used: ${error.message}`, true);
    return;
  }
  const video = at('video');
  video.srcObject = camera.stream;
  at('live').hidden = false;
  await video.play();
  at('camera').textContent = 'Turn the camera off';
  at('camera').setAttribute('aria-pressed', 'true');
  say('The camera is on.');
  const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/live`);
  camera.socket = socket;
  camera.began = performance.now();
  socket.addEventListener('open', send);
  socket.addEventListener('message', answered);
  socket.addEventListener('close', (event) => {
    if (camera.socket === socket) cameraOff(event.reason || 'The connection has ended.', true);
  });
}

at('camera').addEventListener('click', () => (camera.stream ? cameraOff() : cameraOn()));

// ---------------------------------------------------------------------- model

fetch('/model').then((answer) => answer.json()).then((card) => {
  if (card.data) at('trained').textContent = ` (${card.data})`;
  const errors = Object.entries(card.error_by_class ?? {}).map(([name, error]) => `${name} ${Math.round(error)} %`);
  at('errors').textContent = card.error
    ? `It is wrong on ${card.error.toFixed(1)} % of the test images${errors.length ? `: ${errors.join(', ')}` : ''}.`
    : `Model ${card.model}: ${card.classes.join(', ')}.`;
}).catch(() => {});
