"""report.tex: the report as a document that pdflatex typesets as it stands, with its bibliography."""
