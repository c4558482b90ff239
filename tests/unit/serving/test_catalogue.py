"""Which deployments a caller can see."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from arkwright.core.errors import NotFound, Unavailable
from arkwright.serving.catalogue import Catalogue
from arkwright.serving.state import Failure, ServingState


class Holder:
    """A plan of which one deployment failed."""

    def __init__(self) -> None:
        self.state = ServingState(failed={"dep_1": Failure("ws_1", "churn", "version 1.0.0: it was tampered with")})
        self.looks = 0

    async def refresh(self, *, endpoints: bool = False) -> None:
        self.looks += 1


@pytest.mark.parametrize("named", ["dep_1", "churn"])
async def test_a_workspace_is_told_why_its_own_deployment_does_not_answer_by_id_and_by_name(named):
    holder = Holder()
    with pytest.raises(Unavailable, match="tampered"):
        await Catalogue(holder).find(named, SimpleNamespace(workspace_id="ws_1"))
    assert holder.looks == 0


@pytest.mark.parametrize("named", ["dep_1", "churn"])
async def test_another_workspaces_failed_deployment_does_not_exist(named):
    with pytest.raises(NotFound) as refused:
        await Catalogue(Holder()).find(named, SimpleNamespace(workspace_id="ws_2"))
    assert "tampered" not in str(refused.value)
