"""The Streamlit app: `streamlit run frontend/app.py`."""
