import './workers.js';
import { createRoot } from 'react-dom/client';
import { GraphiQL } from 'graphiql';
import '@graphiql/react/style.css';
import '@graphiql/plugin-doc-explorer/style.css';
import '@graphiql/plugin-history/style.css';
import 'graphiql/graphiql.css';
import './page.css';
import { createFetcher } from './fetcher.js';
import { describe } from './freshness.js';
import { fromAddress, loadStarters } from './starters.js';

const tabs = await loadStarters();
const asked = fromAddress(location.search);
const opened = asked ?? (firstVisit() ? tabs[0] : undefined);
const defaultTabs = asked ? [asked, ...tabs] : tabs.length > 0 ? tabs : undefined;
// Read once: it is a tab now, and a reload must not open it again.
if (asked) history.replaceState(null, '', location.pathname);

createRoot(document.getElementById('graphiql')).render(
  <GraphiQL
    fetcher={createFetcher(showFreshness)}
    defaultTabs={defaultTabs}
    initialQuery={opened?.query}
    initialVariables={opened?.variables}
    defaultEditorToolsVisibility="variables"
    inputValueDeprecation
    schemaDescription
  >
    <GraphiQL.Logo>staygraph</GraphiQL.Logo>
    <GraphiQL.Footer>
      <output id="freshness">freshness: shown with the first answer</output>
    </GraphiQL.Footer>
  </GraphiQL>,
);

// Set directly, so that the page is not rendered anew with every answer.
function showFreshness(answer) {
  const line = document.getElementById('freshness');
  if (!line) return;
  const { text, status } = describe(answer);
  line.textContent = text;
  line.dataset.status = status;
}

function firstVisit() {
  try {
    return localStorage.getItem('graphiql:tabState') === null;
  } catch {
    return true;
  }
}
