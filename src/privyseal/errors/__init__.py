# SPDX-License-Identifier: Apache-2.0
"""The one error tree. Codes are stable for ever; every edge maps this tree with one table of its own.

Codes share one number space with event ids: 6000s CA, 7000s directory, 8000s access, 9000s product. Modules
beside this one hold a range each; everybody imports from here.
"""

from privyseal.errors.access import *
from privyseal.errors.authority import *
from privyseal.errors.directory import *
from privyseal.errors.doors import *
from privyseal.errors.enrollment import *
from privyseal.errors.operations import *
from privyseal.errors.product import *
from privyseal.errors.status import *
from privyseal.errors.tree import *
