"""The methods that the paper compares with, and a control, from a results folder to the rows of Tables 7, 8 and 9."""
