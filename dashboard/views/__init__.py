"""Pages, each a script that Streamlit runs."""
