"""What became of leads, as the CRM reported it: the labels that scores are judged and learned by."""
