// What is seen of a stay, without a word about how it was asked for: the two examples give these parts plain values.
import { Fragment, useEffect, useState } from 'react';

// Where staygraph is asked: `?to=http://…` or the address that `staygraph demo` has unless told otherwise.
const parameters = new URLSearchParams(location.search);
export const SERVICE = `${parameters.get('to') ?? 'http://127.0.0.1:8080'}/graphql`;
export const GUEST = parameters.get('guest') ?? '44225562';
export const PAGE = 6;
export const ASK_AGAIN_MS = 5_000;

const CAUSES = {
  CAUGHT_UP: 'everything that was written is in it',
  CATCHING_UP: 'it is catching up',
  STALLED: 'it has stopped moving',
  SOURCE_UNREACHABLE: 'its source does not answer',
  SOURCE_SILENT: 'its source has been silent for long',
  PAUSED: 'somebody paused it',
  BLOCKED: 'records wait that cannot be read now',
  RETENTION_RISK: 'its source is about to drop what was not read',
  DATA_LOST: 'its source dropped what was not read',
};

export function Page({ by, name, count, list, detail }) {
  return (
    <main>
      <header>
        <h1>A stay across four domains</h1>
        <p>Asked for by {by}: one question, one version of the graph, and how fresh each part of it is.</p>
      </header>
      <nav aria-label="Stays">
        <h2>{name ?? 'Stays'}{count === undefined ? '' : `, ${count} ${count === 1 ? 'stay' : 'stays'}`}</h2>
        {list}
      </nav>
      <section aria-label="The stay">{detail}</section>
    </main>
  );
}

export function Stays({ stays, chosen, choose, hasMore, more }) {
  return (
    <>
      <ol>
        {stays.map(({ key, property }) => (
          <li key={key}>
            <button type="button" aria-current={key === chosen} onClick={() => choose(key)}>
              {property?.neighbourhood ?? property?.city ?? 'Somewhere'}
              <small>{short(property?.name)}</small>
            </button>
          </li>
        ))}
      </ol>
      {hasMore && <button type="button" className="more" onClick={more}>More stays</button>}
    </>
  );
}

export function Stay({ stay, failure }) {
  const now = useNow();
  const { guest, property } = stay;
  const domains = Object.entries({
    reservations: stay.freshness, people: guest?.freshness, properties: property?.freshness, prices: property?.prices.freshness,
  });
  const of = (domain) => <Status of={domains.find(([name]) => name === domain)[1]} now={now} old={failure} />;
  return (
    <>
      {failure && <p className="answer failure" role="status">No new answer ({failure}); this is the last one.</p>}
      <div className="cards">
        <Card title="Stay" of={of('reservations')}>
          <h2>{word(stay.status)}</h2>
          <Facts of={{
            Dates: stay.checkIn ? `${day(stay.checkIn)} to ${day(stay.checkOut)}, ${stay.nights} nights` : 'not known',
            Total: money(stay.total), Booked: stay.bookedAt && day(stay.bookedAt), Through: stay.channel,
            Known: { INFERRED: 'concluded from a review', OBSERVED: 'recorded as it happened', SYNTHETIC: 'invented' }[stay.provenance], Key: stay.key,
          }} />
        </Card>
        <Card title="Guest" of={of('people')}>
          <h2>{guest?.name ?? 'Nobody known'}</h2>
          <Facts of={{ Country: guest?.country, Since: day(guest?.since), Key: guest?.key }} />
        </Card>
        <Card title="Property and host" of={of('properties')}>
          <h2>{short(property?.name) ?? 'Not known'}</h2>
          <Facts of={{
            Kind: word(property?.kind), Where: [property?.neighbourhood, property?.city, property?.country].filter(Boolean).join(', '),
            Sleeps: property?.sleeps, Host: property?.host?.name, 'Host since': day(property?.host?.since),
          }} />
        </Card>
        <Card title="Prices" of={of('prices')}>
          <h2>{property?.prices.nodes.length > 0 ? `${money(property.prices.nodes[0].amount)} a ${word(property.prices.nodes[0].unit).toLowerCase()}` : 'None known'}</h2>
          <Facts of={(property?.prices.nodes ?? []).map(({ amount, validFrom, validTo }) => [money(amount), `${day(validFrom)} to ${day(validTo)}`])} />
        </Card>
      </div>
      <table className="domains">
        <thead><tr><th>Domain</th><th>Status</th><th>As of</th><th>Why</th></tr></thead>
        <tbody>
          {domains.map(([domain, freshness]) => (
            <tr key={domain} data-domain={domain}>
              <td>{domain}</td>
              <td>{freshness ? <span className="status" data-status={failure ? 'UNKNOWN' : freshness.status}>{word(freshness.status)}</span> : 'not asked'}</td>
              <td>{freshness && ago(freshness.asOf, now)}</td>
              <td>{freshness && (failure ? 'no answer since' : CAUSES[freshness.cause])}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

function Card({ title, of, children }) {
  return <article className="card"><header><span>{title}</span>{of}</header>{children}</article>;
}

function Facts({ of }) {
  const facts = (Array.isArray(of) ? of : Object.entries(of)).filter(([, value]) => value !== null && value !== undefined && value !== '');
  return <dl>{facts.map(([name, value], index) => <Fragment key={index}><dt>{name}</dt><dd>{value}</dd></Fragment>)}</dl>;
}

// A status is of the moment it was told: where no answer comes any more it has no colour.
function Status({ of, now, old }) {
  return of ? <span className="status" data-status={old ? 'UNKNOWN' : of.status}>{word(of.status)}, {ago(of.asOf, now)}</span> : null;
}

function useNow() {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

// How long ago everything was in the answer, in words. Clocks of two machines differ: what is not past is now.
function ago(asOf, now) {
  if (!asOf) return 'as of a time not known';
  const seconds = Math.max(0, Math.round((now - Date.parse(asOf)) / 1_000));
  const words = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
  if (seconds < 60) return `as of ${words.format(-seconds, 'second')}`;
  return seconds < 3_600 ? `as of ${words.format(-Math.round(seconds / 60), 'minute')}` : `as of ${words.format(-Math.round(seconds / 3_600), 'hour')}`;
}

function money(amount) {
  if (!amount) return undefined;
  const format = new Intl.NumberFormat('en', { style: 'currency', currency: amount.currency });
  return format.format(amount.minor / 10 ** format.resolvedOptions().maximumFractionDigits);
}

function day(text) {
  return text ? new Date(text.length === 10 ? `${text}T00:00:00Z` : text).toLocaleDateString('en-GB', { dateStyle: 'medium', timeZone: 'UTC' }) : undefined;
}

function word(value) {
  return value ? value[0] + value.slice(1).toLowerCase().replaceAll('_', ' ') : undefined;
}

// Of a listing's name what stands before its numbers.
function short(name) {
  return name?.split(' · ').filter((part) => !part.startsWith('★')).join(' · ');
}
