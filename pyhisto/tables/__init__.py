"""Tables, figures and pages, whatever they are about: their content, their forms, and how they are written."""
