// One line about the latest answer: "14 ms · ✓ FRESH · as of 12:00:03Z". One that failed has no tick, however fresh it is:
// "3 ms · ✗ GRAPHQL_VALIDATION_FAILED".
const MARKS = { FRESH: '✓', LATENT: '◐', STALE: '▲', HYDRATING: '…', UNKNOWN: '?' };

export function describe({ ms, freshness, failure }, now = new Date()) {
  const took = ms === undefined ? [] : [`${Math.max(1, Math.round(ms))} ms`];
  if (failure) return { text: [...took, `✗ ${failure}`, ...failed(freshness, now)].join(' · '), status: 'FAILED' };
  if (!freshness) return { text: [...took, 'no freshness given'].join(' · '), status: 'UNKNOWN' };
  const { status, asOf, stalenessMs, domains = [], unmet = [] } = freshness;
  const parts = [...took, `${MARKS[status] ?? '?'} ${status}`];
  if (asOf) parts.push(`as of ${instant(asOf, now)}`);
  else if (domains.length === 0) parts.push('no domain touched');
  if (status !== 'FRESH' && stalenessMs != null) parts.push(`${age(stalenessMs)} behind`);
  for (const domain of domains) {
    if (domain.status !== 'FRESH') parts.push(`${domain.domain}: ${words(domain.cause)}`);
  }
  if (unmet.length > 0) parts.push(`demand not met by ${unmet.join(', ')}`);
  return { text: parts.join(' · '), status };
}

// Of an answer that failed in part: how fresh the rest is.
function failed(freshness, now) {
  if (!freshness?.asOf) return [];
  return [`what came is ${freshness.status}, as of ${instant(freshness.asOf, now)}`];
}

function instant(asOf, now) {
  const [day, time] = asOf.split('T');
  const toTheSecond = `${time.slice(0, 8)}Z`;
  return day === now.toISOString().slice(0, 10) ? toTheSecond : `${day} ${toTheSecond}`;
}

function age(ms) {
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`;
  return `${Math.round(ms / 3_600_000)} h`;
}

const words = (code) => (code ?? 'unknown').toLowerCase().replaceAll('_', ' ');
