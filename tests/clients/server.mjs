// A staygraph of the test's own: started on a free port, ready, and stopped by its id.
import { spawn } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { fail } from './support.mjs';

const READY_MS = 60_000;
const STOP_MS = 20_000;

export async function start(binary, words) {
  const child = spawn(binary, [...words, '--listen', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let ended = false;
  child.on('error', (error) => { output += error.message; ended = true; });
  child.on('exit', () => { ended = true; });
  child.stderr.on('data', (part) => { output += part; });
  child.stdout.on('data', (part) => { output += part; });
  const stop = async () => {
    if (ended) return;
    const gone = new Promise((resolve) => { child.once('exit', resolve); });
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await gone;
    clearTimeout(late);
  };
  const until = Date.now() + READY_MS;
  for (;;) {
    const [url] = output.match(/http:\/\/127\.0\.0\.1:\d+/) ?? [];
    if (url && (await fetch(`${url}/health/ready`).then(({ ok }) => ok, () => false))) return { url, stop };
    if (ended || Date.now() > until) {
      await stop();
      fail(`${binary} is not ready: ${output.slice(-800)}`);
    }
    await pause(50);
  }
}
