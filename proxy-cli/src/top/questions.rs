//! What `top` asks before it ends connections.

use super::feed::Victims;
use super::state::{Mode, State};
use crate::filter;
use proxy_api::model::Filter;

impl State {
    pub(super) fn ask_for_one(&mut self) {
        let Some(connection) = self.selected() else {
            return self.say("no connection is selected");
        };
        let (id, client) = (connection.id.clone(), crate::conns::client(connection));
        let question = format!("end {id}, {} from {client}?", connection.phase);
        self.mode = Mode::Confirm { victims: Victims::One(id), question };
    }

    pub(super) fn ask_for_group(&mut self) {
        let Some(filter) = self.folded.of_selected(&self.wants.filter) else {
            return self.say("no group is selected that could be ended");
        };
        let question = format!("end all {} that match {}?", self.folded.count(), filter::told(&filter));
        self.mode = Mode::Confirm { victims: Victims::Matching(Box::new(filter)), question };
    }

    pub(super) fn ask_for_all(&mut self) {
        let filter = Box::new(self.wants.filter.clone());
        if *filter == Filter::default() {
            return self.say("that would be all of them: set a filter first (/)");
        }
        if self.page.matched == 0 {
            return self.say("no connection matches the filter");
        }
        let question = format!("end all {} that match {}?", self.page.matched, filter::told(&filter));
        self.mode = Mode::Confirm { victims: Victims::Matching(filter), question };
    }
}
