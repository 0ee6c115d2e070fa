# SPDX-License-Identifier: Apache-2.0
"""What the options about CRLs ask for, wherever they stand."""

from __future__ import annotations

from datetime import timedelta

import click

from privyseal.model.authority import DeltaRules


def delta_rules(validity: timedelta | None, interval: timedelta | None) -> DeltaRules | None:
    """What the two options ask for; none without a validity. Raises click.UsageError, ParameterNotFitting."""
    if validity is None:
        if interval is not None:
            raise click.UsageError("--delta-interval needs --delta-crl", click.get_current_context())
        return None
    return DeltaRules(validity=validity, publish_every=interval or validity / 2)
