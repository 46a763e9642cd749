"""Pages, one a module. Streamlit runs them as scripts; the module name is the page's URL."""
