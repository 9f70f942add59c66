# SPDX-License-Identifier: Apache-2.0
"""Whether jobs use the cards, also those that our own playbooks began a moment ago."""
