"""`tureen export-web`: a static page that answers images in the browser, as the server would."""
