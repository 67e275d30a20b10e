// The first tabs, from the server; where the page's address carries ?query=, that comes in front.
export async function loadStarters() {
  try {
    const response = await fetch('/graphiql/starters.json', { headers: { accept: 'application/json' } });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    return (await response.json()).map(asTab);
  } catch (error) {
    console.warn('starter queries are not there:', error);
    return [];
  }
}

export function fromAddress(search) {
  const parameters = new URLSearchParams(search);
  const query = parameters.get('query');
  return query ? { query, variables: parameters.get('variables') ?? undefined } : undefined;
}

function asTab({ title, query, variables }) {
  return {
    query: title ? `# ${title}\n${query.trim()}\n` : query,
    variables: typeof variables === 'string' ? variables : variables && JSON.stringify(variables, null, 2),
  };
}
