//! Connections.

use super::{At, Run, Stop, Written};
use crate::api::freshness::AnswerFreshness;
use crate::api::plan::{Bound, Fields, Many, OfConnection, OfEdge, OfPageInfo};
use crate::ids::{EntityId, Slot};
use crate::query::{Arguments, Page, Source, page, page_and_total, total};

/// A page, and what it is a page of.
struct Listed<'r> {
    entity: EntityId,
    source: Source,
    arguments: &'r Arguments,
    bound: &'r Bound,
    page: Page,
}

impl<'r> Run<'r> {
    pub(super) fn many(&mut self, many: &'r Many, source: Source, at: &At<'_>) -> Written {
        let (entity, bound) = (many.entity, &*self.request.bound[many.list]);
        self.reading.touch(entity);
        let arguments = bound.arguments.as_ref().map_err(|error| Stop::Error(error.clone()))?;
        let page = match many.counts {
            true => page_and_total(self.reading, entity, source, arguments)?,
            false => page(self.reading, entity, source, arguments)?,
        };
        let listed = Listed { entity, source, arguments, bound, page };
        self.object(&many.of, at, |run, what, at| run.of_connection(what, &listed, at))
    }

    fn of_connection(&mut self, what: &'r OfConnection, listed: &Listed<'r>, at: &At<'_>) -> Written {
        let (entity, slots) = (listed.entity, &listed.page.slots);
        match what {
            OfConnection::Typename(entity) => {
                let name = &self.reading.model().entities[*entity].name;
                self.quoted(&[name, "Connection"])
            }
            OfConnection::Nodes(of) => self.list(slots, at, |run, slot, at| run.node(of, entity.node(*slot), at)),
            OfConnection::Edges(of) => self.list(slots, at, |run, slot, at| run.edge(of, listed, *slot, at)),
            OfConnection::PageInfo(of) => self.page_info(of, listed, at),
            OfConnection::TotalCount => {
                let counted = match listed.page.total {
                    Some(total) => total,
                    None => total(self.reading, entity, listed.source, listed.arguments)?,
                };
                self.number(counted as u64)
            }
            OfConnection::Freshness(of) => {
                let freshness = AnswerFreshness::of_part(self.request.context, &listed.bound.domains);
                self.value(of, &freshness, at)
            }
        }
    }

    fn edge(&mut self, fields: &'r Fields<OfEdge>, listed: &Listed<'_>, slot: Slot, at: &At<'_>) -> Written {
        self.object(fields, at, |run, what, at| match what {
            OfEdge::Typename(entity) => {
                let name = &run.reading.model().entities[*entity].name;
                run.quoted(&[name, "Edge"])
            }
            OfEdge::Cursor => run.cursor(listed, Some(&slot)),
            OfEdge::Node(of) => run.node(of, listed.entity.node(slot), at),
        })
    }

    fn page_info(&mut self, fields: &'r Fields<OfPageInfo>, listed: &Listed<'_>, at: &At<'_>) -> Written {
        let page = &listed.page;
        self.object(fields, at, |run, what, _| match what {
            OfPageInfo::Typename => run.name("PageInfo"),
            OfPageInfo::HasNext => run.truth(page.has_next),
            OfPageInfo::HasPrevious => run.truth(page.has_previous),
            OfPageInfo::Start => run.cursor(listed, page.slots.first()),
            OfPageInfo::End => run.cursor(listed, page.slots.last()),
        })
    }

    fn cursor(&mut self, listed: &Listed<'_>, slot: Option<&Slot>) -> Written {
        let Some(slot) = slot else { return self.null() };
        let (order, seal) = (&listed.arguments.order, &self.request.context.seal);
        let cursor = Page::cursor(self.reading, listed.entity.node(*slot), order, seal);
        self.reading.go_on()?;
        self.name(&cursor)
    }
}
