"""An async SDK for the billing and accounting API of CAKE."""
