"""Does the shipped HorizontalPodAutoscaler hold the promise? Its formula, over metrics that a real server gave."""
